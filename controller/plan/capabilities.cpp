#include "controller/plan/capabilities.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "agent/base/capability.h"
#include "controller/plan/faults.h"

namespace zq {

namespace {

constexpr std::size_t kNodesShown = 8;
// Of capability::kNetem and kDelayLine, one will do.
constexpr const char* kNetemOrLine = "netem and no delay-line";

// (missing piece, what for) -> nodes without it
using Missing = std::map<std::pair<std::string, std::string>, std::vector<NodeId>>;

class CapabilityCheck {
 public:
  CapabilityCheck(const PlanInput& input, const Plan& plan) : input_(input), plan_(plan) {}

  Status run() {
    for (const NodeProgramme& programme : plan_.programmes) {
      if (!programme.has_agent) continue;
      for (const ProgrammeEntry& entry : programme.entries) {
        for (const FaultSegment& segment : entry.segments) {
          check_segment(programme.node, entry.direction, segment);
        }
      }
    }
    // A testbed acts on its processes itself.
    if (!input_.cluster.testbed) {
      for (const ProcessStep& step : plan_.processes) check_step(step);
    }
    if (missing_.empty()) return {};
    std::string text;
    for (auto& [what, nodes] : missing_) {
      nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
      text += fmt::format("\n  {}: no {}, which {} needs",
                          list_nodes(input_.cluster, nodes, kNodesShown), what.first, what.second);
    }
    return fail(ErrorCode::kRefused,
                "{}: some nodes cannot do what the faults ask of them (`zonequake doctor` says "
                "why):{}",
                input_.experiment.path, text);
  }

 private:
  [[nodiscard]] bool has(NodeId node, const char* capability) const {
    return input_.capabilities[node].contains(capability);
  }

  void need(bool present, NodeId node, const char* piece, const char* purpose) {
    if (!present) missing_[{piece, purpose}].push_back(node);
  }

  void check_segment(NodeId node, Direction direction, const FaultSegment& segment) {
    need(has(node, capability::kGate), node, capability::kGate, "every fault of packets");
    if (segment.treatment == Treatment::kReject) {
      need(has(node, capability::kReject), node, capability::kReject, "reject = true");
    }
    if (segment.treatment != Treatment::kImpair) return;
    const Impairment& impairment = plan_.impairments[segment.impairment];
    const bool netem = has(node, capability::kNetem) && has(node, capability::kIfb);
    if (impairment.delay > Nanos{0}) {
      if (direction == Direction::kEgress) {
        need(netem || has(node, capability::kDelayLine), node, kNetemOrLine,
             "a delay of packets that it sends");
      } else {
        need(netem, node, capability::kNetem, "a delay of packets that it receives");
      }
    }
    if (impairment.corrupt > 0) need(netem, node, capability::kNetem, "corrupt");
    if (impairment.reorder > 0) need(netem, node, capability::kNetem, "reorder");
    if (impairment.rate_bps > 0) {
      need(has(node, capability::kHtb), node, capability::kHtb, "a rate");
      need(has(node, capability::kIfb), node, capability::kIfb, "a rate");
    }
  }

  void check_step(const ProcessStep& step) {
    if (step.what == ProcessStep::What::kHook) return;
    for (const NodeId node : step.nodes) {
      if (step.what == ProcessStep::What::kPause) {
        need(has(node, capability::kFreezer), node, capability::kFreezer, "pause");
      }
      if (uses_unit(step, node)) {
        need(has(node, capability::kSystemd), node, capability::kSystemd,
             "a fault of processes of a unit");
      }
    }
  }

  [[nodiscard]] bool uses_unit(const ProcessStep& step, NodeId node) const {
    return std::any_of(
        input_.cluster.systems.begin(), input_.cluster.systems.end(),
        [&](const SystemSpec& system) {
          if (system.unit.empty() || (!step.system.empty() && step.system != system.name)) {
            return false;
          }
          const auto nodes = system.nodes.resolve(input_.cluster, {}, nullptr);
          return nodes && nodes->contains(node);
        });
  }

  const PlanInput& input_;
  const Plan& plan_;
  Missing missing_;
};

}  // namespace

Status check_capabilities(const PlanInput& input, const Plan& plan) {
  if (input.capabilities.empty()) return {};
  if (input.capabilities.size() != input.cluster.nodes.size()) {
    return fail(ErrorCode::kInternal, "capabilities of {} nodes for a cluster of {}",
                input.capabilities.size(), input.cluster.nodes.size());
  }
  return CapabilityCheck(input, plan).run();
}

}  // namespace zq
