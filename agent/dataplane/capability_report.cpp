#include "agent/dataplane/capability_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "agent/base/capability.h"
#include "agent/dataplane/delay_line.h"
#include "agent/dataplane/gate.h"

namespace zq {
namespace {

Capability report_gate() {
  const auto missing = missing_capabilities();
  if (missing.empty()) {
    return {capability::kGate, true, "clsact and BPF: drops, loss, duplicates and flapping"};
  }
  return {capability::kGate, false, fmt::format("{}", fmt::join(missing, "; "))};
}

}  // namespace

std::vector<Capability> capability_report() {
  std::vector<Capability> report = {report_gate()};
  std::ranges::move(queue_capabilities(), std::back_inserter(report));
  report.push_back(delay_line_capability());
  return report;
}

}  // namespace zq
