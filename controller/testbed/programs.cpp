#include "controller/testbed/programs.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace zq::testbed {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> program_in(const std::string& directory, const std::string& name) {
  std::error_code error;
  const fs::path path = fs::absolute(fs::path(directory) / name, error);
  if (error || !fs::is_regular_file(path, error) || ::access(path.c_str(), X_OK) != 0) {
    return std::nullopt;
  }
  return path.lexically_normal().string();
}

}  // namespace

std::optional<std::string> find_program(const std::string& name, const std::string& bin_dir) {
  if (name.empty() || name.find('/') != std::string::npos) return std::nullopt;
  if (!bin_dir.empty()) {
    if (auto found = program_in(bin_dir, name)) return found;
  }
  const char* const path = std::getenv("PATH");
  std::string rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::string directory = rest.substr(0, colon);
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
    if (directory.empty()) continue;
    if (auto found = program_in(directory, name)) return found;
  }
  return std::nullopt;
}

std::string where_it_is_not(const std::string& bin_dir) {
  return bin_dir.empty() ? "not on PATH (its directory can be given with --bin-dir)"
                         : "neither in " + bin_dir + " (--bin-dir) nor on PATH";
}

}  // namespace zq::testbed
