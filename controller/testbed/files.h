// Files and directories, with errors as values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.h"

namespace zq::testbed {

[[nodiscard]] bool path_exists(const std::string& path);
Status make_directories(const std::string& path);
// Whole or not at all: readers never see half a file. Makes the directory that it is in.
Status write_file(const std::string& path, std::string_view content);
Result<std::string> read_file(const std::string& path);
// Names, sorted; empty if the directory does not exist.
std::vector<std::string> list_directory(const std::string& path);
// Removes a directory and what is in it; gone already is success. Does not cross into anything
// mounted below: that is an error.
Status remove_tree(const std::string& path);
// Removes the directory if it is there and empty.
void remove_if_empty(const std::string& path);
// The last lines of a log, for messages: "line | line | line". Empty if there is none.
std::string tail_of(const std::string& path);

// Mount points at or below the path in this mount namespace, the deepest first.
std::vector<std::string> mounts_below(const std::string& path);
// Detaches them all.
Status unmount_below(const std::string& path);

}  // namespace zq::testbed
