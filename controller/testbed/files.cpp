#include "controller/testbed/files.h"

#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace zq::testbed {
namespace {

namespace fs = std::filesystem;

// mountinfo writes space, tab, newline and backslash as \040 and so on.
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

bool path_exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

Status make_directories(const std::string& path) {
  // Another testbed that ends just now may take an empty parent away between two steps of ours.
  constexpr int kAttempts = 10;
  std::error_code code;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    fs::create_directories(path, code);
    if (!code || code != std::errc::no_such_file_or_directory) break;
  }
  if (code) return fail_errno(code.value(), fmt::format("creating {}", path));
  return {};
}

Status write_file(const std::string& path, std::string_view content) {
  ZQ_CHECK(make_directories(fs::path(path).parent_path()));
  const std::string draft = fmt::format("{}.{}.tmp", path, ::getpid());
  {
    std::ofstream out(draft, std::ios::binary | std::ios::trunc);
    out << content;
    out.flush();
    if (!out) return fail_errno(errno, fmt::format("writing {}", draft));
  }
  std::error_code code;
  fs::rename(draft, path, code);
  if (code) return fail_errno(code.value(), fmt::format("writing {}", path));
  return {};
}

Result<std::string> read_file(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    const int error = errno;
    if (error == ENOENT) return fail(ErrorCode::kNotFound, "{} does not exist", path);
    return fail_errno(error, fmt::format("reading {}", path));
  }
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

std::vector<std::string> list_directory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator it(path, code), end; !code && it != end; it.increment(code)) {
    names.push_back(it->path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status remove_tree(const std::string& path) {
  const auto mounted = mounts_below(path);
  if (!mounted.empty()) {
    return fail(ErrorCode::kKernel, "not removing {}: {} is still mounted", path, mounted.front());
  }
  std::error_code code;
  fs::remove_all(path, code);
  if (code) return fail_errno(code.value(), fmt::format("removing {}", path));
  return {};
}

void remove_if_empty(const std::string& path) { ::rmdir(path.c_str()); }

std::string tail_of(const std::string& path) {
  constexpr std::size_t kLines = 4;
  constexpr std::size_t kLongest = 300;
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    if (line.size() > kLongest) line = line.substr(0, kLongest) + "...";
    lines.push_back(std::move(line));
    if (lines.size() > kLines) lines.erase(lines.begin());
  }
  return fmt::format("{}", fmt::join(lines, " | "));
}

std::vector<std::string> mounts_below(const std::string& path) {
  std::vector<std::string> found;
  std::ifstream in("/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string skip;
    std::string mount_point;
    fields >> skip >> skip >> skip >> skip >> mount_point;
    mount_point = unescape(mount_point);
    if (mount_point == path || mount_point.starts_with(path + "/")) found.push_back(mount_point);
  }
  std::reverse(found.begin(), found.end());  // later mounts may stand on earlier ones
  return found;
}

Status unmount_below(const std::string& path) {
  for (const std::string& mount_point : mounts_below(path)) {
    if (::umount2(mount_point.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) {
      return fail_errno(errno, fmt::format("unmounting {}", mount_point));
    }
  }
  return {};
}

}  // namespace zq::testbed
