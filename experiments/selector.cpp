#include "experiments/selector.h"

#include <algorithm>
#include <utility>

#include "experiments/cluster.h"
#include "experiments/hint.h"
#include "experiments/selector_term.h"

namespace zq {
namespace {

using Term = Selector::Term;
using Kind = Term::Kind;

template <class Visitor>
void visit_terms(const Term& term, const Visitor& visitor) {
  visitor(term);
  for (const TermPtr& operand : term.operands) visit_terms(*operand, visitor);
}

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

tl::unexpected<Error> unknown_selection(const Position& position, const std::string& name,
                                        const std::vector<std::string>& known) {
  std::string hint = nearest_hint(name, known, "known selections");
  if (!hint.starts_with("; did you mean")) {
    hint += fmt::format("; a zone, region, role or node is written like zone:{}", name);
  }
  return fail(ErrorCode::kInput, "{}: no [select] entry in front of this has the name '{}'{}",
              position.to_string(), name, hint);
}

class Resolver {
 public:
  Resolver(const Position& position, const Cluster& cluster,
           const std::map<std::string, NodeSet>& named, const LiveCluster* live)
      : position_(position), cluster_(cluster), named_(named), live_(live) {}

  Result<NodeSet> resolve(const Term& term) const {
    switch (term.kind) {
      case Kind::kAll:
        return nodes_where([](const Node&) { return true; });
      case Kind::kZone:
        return known(term, "zone", zone_names(),
                     [&](const Node& node) { return node.zone == term.name; });
      case Kind::kRegion:
        return known(term, "region", cluster_.regions,
                     [&](const Node& node) { return node.region == term.name; });
      case Kind::kRole:
        return known(term, "node with the role", role_names(),
                     [&](const Node& node) { return node.has_role(term.name); });
      case Kind::kNode:
        return known(term, "node", node_names(),
                     [&](const Node& node) { return node.name == term.name; });
      case Kind::kSelection:
        return selection(term);
      case Kind::kNot:
      case Kind::kAnd:
      case Kind::kOr:
      case Kind::kOne:
        return combine(term);
      case Kind::kZoneOf:
        return around(term, &Node::zone);
      case Kind::kRegionOf:
        return around(term, &Node::region);
      case Kind::kMajority:
      case Kind::kMinority:
        return share_of_voters(term);
      case Kind::kNodeOfLeader:
      case Kind::kZoneOfLeader:
        return at_leader(term);
    }
    return fail(ErrorCode::kInternal, "a selector term of unknown kind");
  }

 private:
  template <class... Args>
  [[nodiscard]] tl::unexpected<Error> problem(const Term& term, fmt::format_string<Args...> format,
                                              Args&&... args) const {
    return fail(ErrorCode::kInput, "{}: {}", position_at(position_, term.offset).to_string(),
                fmt::format(format, std::forward<Args>(args)...));
  }

  template <class Predicate>
  NodeSet nodes_where(const Predicate& predicate) const {
    NodeSet result;
    for (NodeId id = 0; id < cluster_.nodes.size(); ++id) {
      if (predicate(cluster_.nodes[id])) result.insert(result.end(), id);
    }
    return result;
  }

  template <class Predicate>
  Result<NodeSet> known(const Term& term, std::string_view what,
                        const std::vector<std::string>& names, const Predicate& predicate) const {
    if (std::find(names.begin(), names.end(), term.name) == names.end()) {
      return problem(term, "cluster '{}' has no {} '{}'{}", cluster_.name, what, term.name,
                     nearest_hint(term.name, names, "it has"));
    }
    return nodes_where(predicate);
  }

  std::vector<std::string> zone_names() const {
    std::vector<std::string> names;
    for (const Zone& zone : cluster_.zones) names.push_back(zone.name);
    return names;
  }
  std::vector<std::string> node_names() const {
    std::vector<std::string> names;
    for (const Node& node : cluster_.nodes) names.push_back(node.name);
    return names;
  }
  std::vector<std::string> role_names() const {
    std::vector<std::string> names;
    for (const Node& node : cluster_.nodes) {
      for (const std::string& role : node.roles) add_once(names, role);
    }
    return names;
  }

  Result<NodeSet> selection(const Term& term) const {
    if (const auto found = named_.find(term.name); found != named_.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& [name, nodes] : named_) names.push_back(name);
    return unknown_selection(position_at(position_, term.offset), term.name, names);
  }

  Result<NodeSet> combine(const Term& term) const {
    ZQ_TRY(NodeSet result, resolve(*term.operands.front()));
    if (term.kind == Kind::kNot) {
      NodeSet rest;
      for (NodeId id = 0; id < cluster_.nodes.size(); ++id) {
        if (!result.contains(id)) rest.insert(rest.end(), id);
      }
      return rest;
    }
    if (term.kind == Kind::kOne) {
      return result.empty() ? NodeSet{} : NodeSet{*result.begin()};
    }
    for (std::size_t i = 1; i < term.operands.size(); ++i) {
      ZQ_TRY(const NodeSet other, resolve(*term.operands[i]));
      if (term.kind == Kind::kOr) {
        result.insert(other.begin(), other.end());
      } else {
        std::erase_if(result, [&](NodeId id) { return !other.contains(id); });
      }
    }
    return result;
  }

  // All nodes that are where one of the operand's is.
  Result<NodeSet> around(const Term& term, std::string Node::*place) const {
    ZQ_TRY(const NodeSet inner, resolve(*term.operands.front()));
    std::set<std::string> places;
    for (const NodeId id : inner) places.insert(cluster_.nodes[id].*place);
    return nodes_where([&](const Node& node) { return places.contains(node.*place); });
  }

  Result<const SystemSpec*> system(const Term& term) const {
    auto found = find_system_by(cluster_, term.name);
    if (!found) return problem(term, "{}", found.error().message);
    return *found;
  }

  Result<NodeSet> share_of_voters(const Term& term) const {
    ZQ_TRY(const SystemSpec* spec, system(term));
    ZQ_TRY(const NodeSet voters, voters_of(cluster_, *spec));
    if (voters.empty()) return voters;
    const auto border =
        std::next(voters.begin(), static_cast<std::ptrdiff_t>(voters.size() / 2 + 1));
    return term.kind == Kind::kMajority ? NodeSet(voters.begin(), border)
                                        : NodeSet(border, voters.end());
  }

  Result<NodeSet> at_leader(const Term& term) const {
    ZQ_TRY(const SystemSpec* spec, system(term));
    if (live_ == nullptr) {
      return problem(term, "the leader of '{}' is known only once its cluster is running",
                     term.name);
    }
    ZQ_TRY(const NodeId leader, live_->leader(spec->name));
    if (leader >= cluster_.nodes.size()) {
      return fail(ErrorCode::kInternal, "the leader of '{}' is no node of the cluster", term.name);
    }
    if (term.kind == Kind::kNodeOfLeader) return NodeSet{leader};
    return nodes_where([&](const Node& node) { return node.zone == cluster_.nodes[leader].zone; });
  }

  const Position& position_;
  const Cluster& cluster_;
  const std::map<std::string, NodeSet>& named_;
  const LiveCluster* live_;
};

}  // namespace

Result<Selector> Selector::parse(std::string_view text, const Position& position) {
  Selector result;
  result.text_ = text;
  result.position_ = position;
  ZQ_TRY(result.root_, parse_selector_term(text, position));
  return result;
}

bool Selector::is_dynamic() const {
  bool dynamic = false;
  if (root_) visit_terms(*root_, [&](const Term& term) { dynamic |= term.needs_leader(); });
  return dynamic;
}

std::vector<std::string> Selector::referenced_names() const {
  std::vector<std::string> names;
  if (root_) {
    visit_terms(*root_, [&](const Term& term) {
      if (term.kind == Kind::kSelection) add_once(names, term.name);
    });
  }
  return names;
}

std::vector<std::string> Selector::referenced_systems() const {
  std::vector<std::string> names;
  if (root_) {
    visit_terms(*root_, [&](const Term& term) {
      if (term.names_system()) add_once(names, term.name);
    });
  }
  return names;
}

Status Selector::check_names(const std::vector<std::string>& known) const {
  Status result;
  if (!root_) return result;
  visit_terms(*root_, [&](const Term& term) {
    if (!result || term.kind != Kind::kSelection) return;
    if (std::find(known.begin(), known.end(), term.name) != known.end()) return;
    result = unknown_selection(position_at(position_, term.offset), term.name, known);
  });
  return result;
}

Result<NodeSet> Selector::resolve(const Cluster& cluster,
                                  const std::map<std::string, NodeSet>& named,
                                  const LiveCluster* live) const {
  if (!root_) return NodeSet{};
  return Resolver(position_, cluster, named, live).resolve(*root_);
}

}  // namespace zq
