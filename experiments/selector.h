// Selectors name sets of nodes: "zone:b", "region:r1", "role:master", "node:m1", "all", a name from
// [select], "!X", "A & B", "A | B", parentheses; and the dynamic ones "zone_of(leader(SYSTEM))",
// "node_of(leader(SYSTEM))", "minority(SYSTEM)", "majority(SYSTEM)", "one(role:NAME)", which need
// the live cluster and are resolved at arming.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.h"
#include "experiments/position.h"

namespace zq {

struct Cluster;
using NodeSet = std::set<std::uint32_t>;  // of NodeId

// Answers what only the live cluster knows.
struct LiveCluster {
  // The node that leads SYSTEM now.
  std::function<Result<std::uint32_t>(const std::string& system)> leader;
};

class Selector {
 public:
  struct Term;  // the parsed form, private to selector.cpp

  Selector() = default;  // selects nothing
  // `position` is that of the string's first character.
  static Result<Selector> parse(std::string_view text, const Position& position);

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const Position& position() const { return position_; }
  [[nodiscard]] bool empty() const { return root_ == nullptr; }
  // Needs LiveCluster.
  [[nodiscard]] bool is_dynamic() const;
  // Names of [select] entries that it refers to, and systems inside dynamic functions.
  [[nodiscard]] std::vector<std::string> referenced_names() const;
  [[nodiscard]] std::vector<std::string> referenced_systems() const;

  // `named` are the [select] entries, already resolved. An unknown zone, region, role, node or name
  // is an kInput error with position and the nearest known one. A set may come out empty.
  [[nodiscard]] Result<NodeSet> resolve(const Cluster& cluster,
                                        const std::map<std::string, NodeSet>& named,
                                        const LiveCluster* live) const;

 private:
  std::string text_;
  Position position_;
  std::shared_ptr<const Term> root_;
};

}  // namespace zq
