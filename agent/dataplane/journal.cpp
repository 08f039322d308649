#include "agent/dataplane/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "agent/base/unique_fd.h"

namespace zq {
namespace {

constexpr int kVersion = 1;

std::string journal_path(const std::string& state_dir) { return state_dir + "/gate.journal"; }

Status sync_directory(const std::string& state_dir) {
  const UniqueFd fd(::open(state_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) {
    return fail_errno(errno, fmt::format("syncing state directory {}", state_dir));
  }
  return {};
}

Status write_all(int fd, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(fd, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, "writing");
    done += static_cast<std::size_t>(written);
  }
  return {};
}

std::string encode(const Journal& journal) {
  nlohmann::json devices = nlohmann::json::array();
  for (const JournalDevice& device : journal.devices) {
    devices.push_back({{"name", device.uplink.device},
                       {"index", device.uplink.index},
                       {"had_clsact", device.had_clsact}});
  }
  const nlohmann::json document = {{"version", kVersion},
                                   {"boot_id", journal.boot_id},
                                   {"netns_inode", journal.netns_inode},
                                   {"devices", std::move(devices)}};
  return document.dump(2) + "\n";
}

Journal decode(const std::string& text) {
  const auto document = nlohmann::json::parse(text);
  if (document.at("version").get<int>() != kVersion) {
    throw nlohmann::json::other_error::create(0, "unknown version", nullptr);
  }
  Journal journal;
  journal.boot_id = document.at("boot_id").get<std::string>();
  journal.netns_inode = document.at("netns_inode").get<std::uint64_t>();
  for (const auto& device : document.at("devices")) {
    journal.devices.push_back(
        {{device.at("name").get<std::string>(), device.at("index").get<unsigned>()},
         device.at("had_clsact").get<bool>()});
  }
  return journal;
}

}  // namespace

Result<std::uint64_t> current_netns_inode() {
  struct stat info {};
  if (::stat("/proc/thread-self/ns/net", &info) != 0) {
    return fail_errno(errno, "reading /proc/thread-self/ns/net");
  }
  return std::uint64_t{info.st_ino};
}

Result<std::string> current_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (!std::getline(file, id)) {
    return fail(ErrorCode::kKernel, "cannot read /proc/sys/kernel/random/boot_id");
  }
  return id;
}

Status write_journal(const std::string& state_dir, const Journal& journal) {
  const std::string path = journal_path(state_dir);
  const std::string fresh = path + ".new";
  const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) {
    return fail_errno(errno,
                      fmt::format("writing journal {} (does the state directory exist?)", fresh));
  }
  if (auto written = write_all(fd.get(), encode(journal)); !written) {
    return tl::unexpected<Error>(
        std::move(written).error().with_context(fmt::format("journal {}", fresh)));
  }
  if (::fsync(fd.get()) != 0) return fail_errno(errno, fmt::format("syncing journal {}", fresh));
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    return fail_errno(errno, fmt::format("renaming journal {} to {}", fresh, path));
  }
  return sync_directory(state_dir);
}

Result<std::optional<Journal>> read_journal(const std::string& state_dir) {
  const std::string path = journal_path(state_dir);
  std::ifstream file(path);
  if (!file) {
    if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return std::optional<Journal>();
    return fail_errno(errno, fmt::format("reading journal {}", path));
  }
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  try {
    return std::optional<Journal>(decode(text));
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::kInput,
                "journal {} is damaged ({}); look for filters named 'zonequake_gate' on this node, "
                "remove them, then delete the file",
                path, error.what());
  }
}

Status remove_journal(const std::string& state_dir) {
  const std::string path = journal_path(state_dir);
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(errno, fmt::format("removing journal {}", path));
  }
  return sync_directory(state_dir);
}

}  // namespace zq
