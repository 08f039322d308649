#include "experiments/position.h"

#include <fmt/format.h>

namespace zq {

std::string Position::to_string() const {
  if (line == 0) return file;
  return fmt::format("{}:{}:{}", file, line, column);
}

}  // namespace zq
