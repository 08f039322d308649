#include "experiments/workload_parse.h"

#include <algorithm>

#include "experiments/hint.h"
#include "experiments/names.h"
#include "experiments/toml_language.h"
#include "experiments/value_reader.h"

namespace zq {
namespace {

constexpr std::int64_t kMostStreams = 16;

void read_writes(TomlTable& table, Workload& workload, UniqueNames& systems) {
  TomlReport& report = table.report();
  if (const auto system = table.required_string("system", "the name or kind of a system")) {
    workload.system = system->value;
    systems.add(*system, report);
  }
  if (const auto every = table.duration("every")) {
    workload.every = *every;
    if (*every < std::chrono::milliseconds(1)) {
      report.add(table.value_position("every"), "'every' is {}; expected 1ms or more",
                 format_duration(*every));
    }
  }
  for (const char* key : {"from", "to", "streams", "rate"})
    table.refuse(key, "'{}' belongs to bulk workloads; add kind = \"bulk\"", key);
}

void read_bulk(TomlTable& table, Workload& workload, const std::vector<std::string>& selections) {
  TomlReport& report = table.report();
  const auto side = [&](const char* key, Selector& into) {
    const auto text = table.required_string(key, "a selector, like \"zone:a\"");
    if (!text) return;
    if (auto selector = read_selector(*text, selections, report)) into = std::move(*selector);
  };
  side("from", workload.from);
  side("to", workload.to);
  if (const auto streams = table.integer("streams", {1, kMostStreams}))
    workload.streams = static_cast<unsigned>(*streams);
  if (const TomlValue* rate = table.raw("rate")) {
    const auto* text = std::get_if<std::string>(&rate->data);
    if (text != nullptr && *text == "unlimited")
      workload.rate_bps = 0;
    else if (const auto limit = read_rate_value(*rate, "rate", report))
      workload.rate_bps = *limit;
  }
  for (const char* key : {"system", "every"})
    table.refuse(key, "'{}' belongs to workloads of writes, not of bulk data", key);
}

}  // namespace

std::vector<Workload> read_workloads(TomlTable& root, const std::vector<std::string>& selections) {
  static const std::vector<std::string> kKinds{"bulk", "writes"};
  std::vector<Workload> workloads;
  UniqueNames systems("workload on system");
  for (TomlTable& table : root.tables("workload")) {
    Workload workload;
    workload.position = table.position();
    const auto kind = table.string("kind");
    if (kind && std::find(kKinds.begin(), kKinds.end(), kind->value) == kKinds.end()) {
      table.report().add(kind->position, "unknown kind of workload '{}'{}", kind->value,
                         nearest_hint(kind->value, kKinds, "known kinds"));
      continue;
    }
    if (kind && kind->value == "bulk") {
      workload.kind = WorkloadKind::kBulk;
      read_bulk(table, workload, selections);
    } else {
      read_writes(table, workload, systems);
    }
    table.finish();
    workloads.push_back(std::move(workload));
  }
  return workloads;
}

}  // namespace zq
