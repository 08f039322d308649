// Selectors name sets of nodes:
//
//   zone:b  region:r1  role:master  node:m1  all     by what the cluster file says
//   cut                                              a name from [select]
//   !X  A & B  A | B  (A)                            binding in this order
//   one(X)                                           the first node of X in file order
//   majority(SYSTEM)  minority(SYSTEM)               the first quorum of the system's voters in
//                                                    file order, and all its other voters
//   zone_of(X)  region_of(X)                         all nodes of the zones, or regions, of X
//   node_of(leader(SYSTEM))  zone_of(leader(SYSTEM)) dynamic: the leader, all nodes of its zone,
//   region_of(leader(SYSTEM))                        of its region
//
// SYSTEM is the name of a system, or its kind if the cluster has one of that kind, or "scheduler",
// "master" or "coordinator" if it has one system that is such; for its voters
// see voters_of() in cluster.h.
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
  // Holds leader(): needs LiveCluster. (The names that it refers to may be dynamic nevertheless.)
  [[nodiscard]] bool is_dynamic() const;
  // Names of [select] entries that it refers to, and systems inside dynamic functions.
  [[nodiscard]] std::vector<std::string> referenced_names() const;
  [[nodiscard]] std::vector<std::string> referenced_systems() const;
  // kInput with position and the nearest known name when it refers to a [select] entry that is not
  // in `known`.
  [[nodiscard]] Status check_names(const std::vector<std::string>& known) const;

  // `named` are the [select] entries, already resolved. An unknown zone, region, role, node or name
  // is a kInput error with position and the nearest known one; so is a dynamic function without
  // `live`. A set may come out empty.
  [[nodiscard]] Result<NodeSet> resolve(const Cluster& cluster,
                                        const std::map<std::string, NodeSet>& named,
                                        const LiveCluster* live) const;

 private:
  std::string text_;
  Position position_;
  std::shared_ptr<const Term> root_;
};

}  // namespace zq
