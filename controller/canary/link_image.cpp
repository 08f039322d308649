#include "controller/canary/link_image.h"

#include <fmt/format.h>

#include <array>
#include <numeric>
#include <string_view>

namespace zq {
namespace {

constexpr std::size_t kBlock = 512;

// The header of an entry without data; fields and their places are those of POSIX.1-2001, pax,
// "ustar Interchange Format".
std::string entry(std::string_view name, char type, std::string_view link) {
  std::string block(kBlock, '\0');
  const auto put = [&](std::size_t at, std::string_view text) {
    block.replace(at, text.size(), text);
  };
  put(0, name);
  put(100, "0000755");
  put(108, "0000000");      // uid
  put(116, "0000000");      // gid
  put(124, "00000000000");  // size
  put(136, "00000000000");  // mtime
  put(148, "        ");     // the checksum counts as blanks
  put(156, std::string_view(&type, 1));
  put(157, link);
  put(257, "ustar");
  put(263, "00");
  const unsigned sum = std::accumulate(block.begin(), block.end(), 0U, [](unsigned total, char c) {
    return total + static_cast<unsigned char>(c);
  });
  put(148, fmt::format("{:06o}", sum));
  block[154] = '\0';
  return block;
}

}  // namespace

std::string link_image() {
  std::string tar;
  for (const char* folder : {"dev/", "etc/", "proc/", "sys/", "tmp/", "usr/", "zonequake/"})
    tar += entry(folder, '5', "");
  for (const std::string name : {"bin", "lib", "lib64", "sbin"})
    tar += entry(name, '2', "usr/" + name);
  return tar + std::string(2 * kBlock, '\0');
}

}  // namespace zq
