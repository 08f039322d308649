// Where in a file something stands, so that every message can point at it.
#pragma once

#include <cstdint>
#include <string>

namespace zq {

struct Position {
  std::string file;
  std::uint32_t line = 0;    // from 1; 0 = unknown
  std::uint32_t column = 0;  // from 1

  // "FILE:LINE:COLUMN"
  [[nodiscard]] std::string to_string() const;
};

}  // namespace zq
