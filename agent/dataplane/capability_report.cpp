#include "agent/dataplane/capability_report.h"

#include <fmt/format.h>

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

std::vector<Capability> capability_report() { return {report_gate(), delay_line_capability()}; }

}  // namespace zq
