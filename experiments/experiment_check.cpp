// Whether an experiment can be run on a cluster.
#include <algorithm>
#include <map>
#include <set>

#include "experiments/bulk.h"
#include "experiments/experiment.h"
#include "experiments/hint.h"
#include "experiments/label_check.h"
#include "experiments/process_target.h"
#include "experiments/system_kind.h"
#include "experiments/toml_reader.h"

namespace zq {
namespace {

class Checker {
 public:
  Checker(const Experiment& experiment, const Cluster& cluster, TomlReport& report)
      : experiment_(experiment), cluster_(cluster), report_(report) {
    // Any node of the system will do: with it every name in a dynamic selector is looked up, and
    // what comes out is not judged.
    leader_.leader = [this](const std::string& system) -> Result<NodeId> {
      const SystemSpec* spec = cluster_.find_system(system);
      ZQ_TRY(const NodeSet nodes, spec->nodes.resolve(cluster_, {}, nullptr));
      return nodes.empty() ? 0 : *nodes.begin();
    };
  }

  void check() {
    check_needs();
    // On a cluster of another make nearly everything would be wrong, for this one reason.
    if (!report_.empty()) return;
    check_selections();
    for (const Workload& workload : experiment_.workloads) check_workload(workload);
    if (report_.empty()) check_bulk();
    for (const Phase& phase : experiment_.phases) {
      check_expression(phase.lasts);
      for (const Fault& fault : phase.faults) check_fault(fault);
    }
    for (const Expression& condition : experiment_.steady.holds) check_expression(condition);
    if (experiment_.limits.abort_if) check_expression(*experiment_.limits.abort_if);
    for (const Expectation& expectation : experiment_.expectations) {
      check_expression(expectation.condition);
      if (expectation.within) check_expression(*expectation.within);
    }
  }

 private:
  void check_needs() {
    const Needs& needs = experiment_.needs;
    for (const std::string& kind : needs.systems) {
      const auto serves = [&](const SystemSpec& system) { return answers_need(system.kind, kind); };
      if (std::none_of(cluster_.systems.begin(), cluster_.systems.end(), serves)) {
        report_.add(needs.position,
                    "the experiment needs a system of kind '{}', but cluster '{}' has {}", kind,
                    cluster_.name, systems_in_words());
      }
    }
    if (needs.zones && cluster_.zones.size() < *needs.zones) {
      report_.add(needs.position, "the experiment needs {} zones, but cluster '{}' has {}",
                  *needs.zones, cluster_.name, cluster_.zones.size());
    }
    if (needs.regions && cluster_.regions.size() < *needs.regions) {
      report_.add(needs.position, "the experiment needs {} regions, but cluster '{}' has {}",
                  *needs.regions, cluster_.name, cluster_.regions.size());
    }
    if (needs.masters_in) check_masters(*needs.masters_in);
  }

  std::string systems_in_words() const {
    if (cluster_.systems.empty()) return "none";
    std::string words;
    for (const SystemSpec& system : cluster_.systems) {
      words += fmt::format("{}'{}' ({})", words.empty() ? "only " : ", ", system.name, system.kind);
    }
    return words;
  }

  void check_masters(const std::string& masters_in) {
    std::map<std::string, std::size_t> masters;  // per zone
    std::set<std::string> regions;
    std::size_t total = 0;
    for (const Node& node : cluster_.nodes) {
      if (!node.has_role("master")) continue;
      ++masters[node.zone];
      regions.insert(node.region);
      ++total;
    }
    if (total == 0) {
      report_.add(experiment_.needs.position,
                  "the experiment needs masters, but cluster '{}' has no node with the role master",
                  cluster_.name);
      return;
    }
    const auto most =
        std::max_element(masters.begin(), masters.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (masters_in == "one zone" && masters.size() > 1) {
      report_.add(experiment_.needs.position,
                  "the experiment needs all masters in one zone, but those of cluster '{}' are in "
                  "{} zones",
                  cluster_.name, masters.size());
    }
    if (masters_in == "one region" && regions.size() > 1) {
      report_.add(
          experiment_.needs.position,
          "the experiment needs all masters in one region, but those of cluster '{}' are in "
          "{} regions",
          cluster_.name, regions.size());
    }
    if (masters_in == "different zones" && most->second > total / 2) {
      report_.add(experiment_.needs.position,
                  "the experiment needs masters in different zones, so that none holds a majority "
                  "of them, but zone '{}' of cluster '{}' holds {} of {}",
                  most->first, cluster_.name, most->second, total);
    }
  }

  void check_selections() {
    for (const NamedSelector& entry : experiment_.select) {
      selection_names_.push_back(entry.name);
      check_ambiguity(entry);
      const auto nodes = check_selector(entry.selector);
      named_[entry.name] = nodes.value_or(NodeSet{});
      if (!nodes || !is_settled(entry.selector)) unsettled_.insert(entry.name);
    }
  }

  // A bare label value is a name of the cluster's or a selection; it must not be both.
  void check_ambiguity(const NamedSelector& entry) {
    const bool zone = std::any_of(cluster_.zones.begin(), cluster_.zones.end(),
                                  [&](const Zone& known) { return known.name == entry.name; });
    if (!zone && cluster_.find_node(entry.name) == nullptr) return;
    report_.add(entry.selector.position(),
                "selection '{}' has the name of a {} of cluster '{}', so that '{}' in a label "
                "could be either; rename the selection",
                entry.name, zone ? "zone" : "node", cluster_.name, entry.name);
  }

  bool is_settled(const Selector& selector) const {
    const auto names = selector.referenced_names();
    return !selector.is_dynamic() &&
           std::none_of(names.begin(), names.end(),
                        [&](const std::string& name) { return unsettled_.contains(name); });
  }

  // The nodes, or nothing when something was reported.
  std::optional<NodeSet> check_selector(const Selector& selector) {
    const TomlString text{selector.text(), selector.position()};
    const auto nodes = selector.resolve(cluster_, named_, &leader_);
    if (!nodes) {
      report_.add_inside(text, nodes.error());
      return std::nullopt;
    }
    if (nodes->empty() && is_settled(selector)) {
      report_.add(selector.position(), "'{}' selects no node of cluster '{}'", selector.text(),
                  cluster_.name);
      return std::nullopt;
    }
    return *nodes;
  }

  // All bulk workloads together; each by itself is checked before.
  void check_bulk() {
    if (const auto flows = bulk_flows(cluster_, experiment_); !flows) {
      const auto last = std::find_if(
          experiment_.workloads.rbegin(), experiment_.workloads.rend(),
          [](const Workload& workload) { return workload.kind == WorkloadKind::kBulk; });
      report_.add(last->position, "[[workload]]: {}", flows.error().message);
    }
  }

  void check_workload(const Workload& workload) {
    if (workload.kind == WorkloadKind::kBulk) {
      if (const auto flows = bulk_flows(cluster_, experiment_, workload); !flows)
        report_.add(workload.position, "[[workload]]: {}", flows.error().message);
      return;
    }
    const auto system = find_system_by(cluster_, workload.system);
    if (!system) {
      report_.add(workload.position, "[[workload]]: {}", system.error().message);
    } else if (!takes_writes((*system)->kind)) {
      report_.add(workload.position,
                  "[[workload]]: there is no write workload for system '{}' of kind {}",
                  (*system)->name, (*system)->kind);
    }
  }

  void check_fault(const Fault& fault) {
    std::vector<const Selector*> sides{&fault.a};
    if (!fault.of_processes()) sides.push_back(&fault.b);
    for (const Selector& side : fault.more) sides.push_back(&side);
    std::vector<std::pair<const Selector*, NodeSet>> known;
    for (const Selector* side : sides) {
      auto nodes = check_selector(*side);
      if (nodes && is_settled(*side)) known.emplace_back(side, *std::move(nodes));
    }
    if (fault.of_processes())
      return check_processes(fault, known.empty() ? NodeSet{} : known[0].second);
    for (std::size_t i = 1; i < known.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) check_apart(known[j], known[i]);
    }
  }

  void check_apart(const std::pair<const Selector*, NodeSet>& one,
                   const std::pair<const Selector*, NodeSet>& other) {
    const auto shared = std::find_if(one.second.begin(), one.second.end(),
                                     [&](NodeId id) { return other.second.contains(id); });
    if (shared == one.second.end()) return;
    report_.add(other.first->position(),
                "'{}' and '{}' overlap: node '{}' is on both sides of the fault", one.first->text(),
                other.first->text(), cluster_.nodes[*shared].name);
  }

  // `nodes` is empty when only the live cluster knows them; the plan checks them then.
  void check_processes(const Fault& fault, const NodeSet& nodes) {
    if (nodes.empty() && fault.kind != FaultKind::kHook) {
      if (fault.system.empty()) return;
      const auto system = find_system_by(cluster_, fault.system);
      if (!system) report_.add(fault.position, "{}", system.error().message);
      return;
    }
    const auto chosen = process_nodes(cluster_, fault, nodes);
    if (!chosen) report_.add(fault.position, "{}", chosen.error().message);
  }

  void check_expression(const Expression& expression) {
    check_labels(expression, cluster_, selection_names_, report_);
  }

  const Experiment& experiment_;
  const Cluster& cluster_;
  TomlReport& report_;
  LiveCluster leader_;
  std::vector<std::string> selection_names_;
  std::map<std::string, NodeSet> named_;
  std::set<std::string> unsettled_;  // selections that depend on a leader, or were reported
};

}  // namespace

Status check_against(const Experiment& experiment, const Cluster& cluster) {
  TomlReport report(experiment.text);
  Checker(experiment, cluster, report).check();
  return report.status();
}

}  // namespace zq
