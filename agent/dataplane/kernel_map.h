// BPF maps held by descriptor: creation, and filling in batches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/unique_fd.h"

namespace zq {

// Creates a map that is used as the inner map of another.
Result<UniqueFd> create_map(unsigned type, const char* name, std::uint32_t key_size,
                            std::uint32_t value_size, std::size_t entries);

// Puts `count` entries into the map, a thousand to a system call. `value_size` is what one key
// takes: in per-CPU maps the values of all possible CPUs.
Status fill_map(int fd, const char* name, const void* keys, std::size_t key_size,
                const void* values, std::size_t value_size, std::size_t count);

template <class Key, class Value>
Status fill_map(int fd, const char* name, const std::vector<Key>& keys,
                const std::vector<Value>& values) {
  const std::size_t per_key = keys.empty() ? 1 : values.size() / keys.size();
  return fill_map(fd, name, keys.data(), sizeof(Key), values.data(), sizeof(Value) * per_key,
                  keys.size());
}

// CPUs that per-CPU maps have values for.
[[nodiscard]] Result<std::size_t> possible_cpus();
Status lookup_map(int fd, const void* key, void* value);

// All CPUs' values of one key.
template <class Value>
Result<std::vector<Value>> read_per_cpu(int fd, std::uint32_t key) {
  static_assert(sizeof(Value) % 8 == 0, "the kernel rounds per-CPU values up to 8 bytes");
  ZQ_TRY(const std::size_t cpus, possible_cpus());
  std::vector<Value> values(cpus);
  ZQ_CHECK(lookup_map(fd, &key, values.data()));
  return values;
}

}  // namespace zq
