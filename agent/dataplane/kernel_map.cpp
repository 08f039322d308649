#include "agent/dataplane/kernel_map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>

namespace zq {
namespace {

constexpr std::size_t kBatch = 1000;

}  // namespace

Result<UniqueFd> create_map(unsigned type, const char* name, std::uint32_t key_size,
                            std::uint32_t value_size, std::size_t entries) {
  // The kernel knows no empty maps.
  const auto size = static_cast<std::uint32_t>(std::max<std::size_t>(entries, 1));
  UniqueFd fd(
      bpf_map_create(static_cast<bpf_map_type>(type), name, key_size, value_size, size, nullptr));
  if (!fd) return fail_errno(errno, fmt::format("creating BPF map {} of {} entries", name, size));
  return fd;
}

Status fill_map(int fd, const char* name, const void* keys, std::size_t key_size,
                const void* values, std::size_t value_size, std::size_t count) {
  const auto* key = static_cast<const std::uint8_t*>(keys);
  const auto* value = static_cast<const std::uint8_t*>(values);
  for (std::size_t done = 0; done < count;) {
    const std::size_t part = std::min(kBatch, count - done);
    auto filled = static_cast<std::uint32_t>(part);
    if (bpf_map_update_batch(fd, key + done * key_size, value + done * value_size, &filled,
                             nullptr) != 0) {
      return fail_errno(errno, fmt::format("filling BPF map {} with {} entries (failed at {})",
                                           name, count, done + filled));
    }
    done += part;
  }
  return {};
}

Result<std::size_t> possible_cpus() {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return fail_errno(-cpus, "counting CPUs");
  return static_cast<std::size_t>(cpus);
}

Status lookup_map(int fd, const void* key, void* value) {
  if (bpf_map_lookup_elem(fd, key, value) != 0) return fail_errno(errno, "reading a BPF map");
  return {};
}

}  // namespace zq
