// A parsed selector. Private to selector*.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.h"
#include "experiments/selector.h"

namespace zq {

struct Selector::Term {
  enum class Kind {
    kAll,
    kZone,
    kRegion,
    kRole,
    kNode,
    kSelection,  // a name from [select]
    kNot,
    kAnd,
    kOr,
    kOne,
    kZoneOf,  // all nodes of the zones, or regions, of the operand
    kRegionOf,
    kMajority,
    kMinority,
    kNodeOfLeader,
    kZoneOfLeader,
  };
  Kind kind = Kind::kAll;
  std::string name;                                   // of the zone, role, selection, system ...
  std::uint32_t offset = 0;                           // of the name, or of the term, in the text
  std::vector<std::shared_ptr<const Term>> operands;  // of not, and, or, one, ..._of

  [[nodiscard]] bool names_system() const {
    return kind == Kind::kMajority || kind == Kind::kMinority || needs_leader();
  }
  [[nodiscard]] bool needs_leader() const {
    return kind == Kind::kNodeOfLeader || kind == Kind::kZoneOfLeader;
  }
};

using TermPtr = std::shared_ptr<const Selector::Term>;

// Errors carry "FILE:LINE:COLUMN: ", counted from `position`.
Result<TermPtr> parse_selector_term(std::string_view text, const Position& position);

[[nodiscard]] inline Position position_at(const Position& start, std::uint32_t offset) {
  return Position{start.file, start.line, start.column + offset};
}

}  // namespace zq
