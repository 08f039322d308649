#include "results/run_document.h"

#include "results/migrations.h"
#include "results/report.h"

namespace zq {

namespace {

using nlohmann::json;

template <class T>
json nullable(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json phase_json(const PhaseRecord& phase) {
  return {{"name", phase.name},
          {"planned_from_ns", phase.planned_from_ns},
          {"planned_until_ns", phase.planned_until_ns},
          {"from_mono_ns", nullable(phase.from_mono_ns)},
          {"until_mono_ns", nullable(phase.until_mono_ns)}};
}

json node_json(const NodeRecord& node, bool dumps) {
  json result = {{"name", node.name},
                 {"zone", node.zone},
                 {"region", node.region},
                 {"roles", node.roles},
                 {"addresses", node.addresses},
                 {"group", node.group},
                 {"kernel", node.kernel},
                 {"agent_version", node.agent_version},
                 {"boot_id", node.boot_id},
                 {"clock_offset_ns", node.clock_offset_ns},
                 {"clock_uncertainty_ns", node.clock_uncertainty_ns},
                 {"dumps_taken", !node.dump_before.empty() && !node.dump_after.empty()},
                 {"dumps_equal", node.dump_before == node.dump_after},
                 {"agentless", node.agentless()}};
  json capabilities = json::parse(node.capabilities, nullptr, false);
  result["capabilities"] = capabilities.is_discarded() ? json::array() : std::move(capabilities);
  if (dumps) {
    result["dump_before"] = node.dump_before;
    result["dump_after"] = node.dump_after;
  }
  return result;
}

json evidence_json(const FaultEvidenceRecord& one) {
  return {{"node", one.node},
          {"direction", one.direction},
          {"group", one.group},
          {"from_mono_ns", one.from_mono_ns},
          {"until_mono_ns", one.until_mono_ns},
          {"dropped_packets", one.dropped_packets},
          {"dropped_bytes", one.dropped_bytes},
          {"passed_packets", one.passed_packets},
          {"exempt_packets", one.exempt_packets},
          {"last_passed_ns", one.last_passed_ns},
          {"first_dropped_ns", one.first_dropped_ns},
          {"last_dropped_ns", one.last_dropped_ns},
          {"first_passed_ns", one.first_passed_ns},
          {"segment", one.segment},
          {"treatment", one.treatment},
          {"scope", one.scope},
          {"asked", one.asked},
          {"impaired_packets", one.impaired_packets},
          {"impaired_bytes", one.impaired_bytes},
          {"impaired_segments", one.impaired_segments},
          {"lost_packets", one.lost_packets},
          {"duplicated_packets", one.duplicated_packets},
          {"held_dropped_packets", one.held_dropped_packets},
          {"held_passed_packets", one.held_passed_packets},
          {"first_impaired_ns", one.first_impaired_ns},
          {"last_impaired_ns", one.last_impaired_ns}};
}

json queue_json(const QueueRecord& queue) {
  return {{"node", queue.node},
          {"direction", queue.direction},
          {"group", queue.group},
          {"asked", queue.asked},
          {"lane", queue.lane},
          {"rate_bps", queue.rate_bps},
          {"limit_packets", queue.limit_packets},
          {"burst_bytes", queue.burst_bytes},
          {"quantum_bytes", queue.quantum_bytes},
          {"drain_ns", queue.drain_ns},
          {"sent_packets", queue.sent_packets},
          {"sent_bytes", queue.sent_bytes},
          {"dropped_packets", queue.dropped_packets},
          {"backlog_packets", queue.backlog_packets},
          {"discarded_packets", queue.discarded_packets}};
}

json measurement_json(const MeasurementRecord& one) {
  return {{"stage", one.stage},
          {"from", one.from},
          {"to", one.to},
          {"address", one.address},
          {"quantity", one.quantity},
          {"asked", one.asked},
          {"measured", nullable(one.measured)},
          {"low", one.low},
          {"high", one.high},
          {"samples", one.samples},
          {"within", one.within}};
}

json process_json(const ProcessRecord& one) {
  return {{"node", one.node},
          {"step", one.step},
          {"target", one.target},
          {"planned_mono_ns", one.planned_mono_ns},
          {"began_mono_ns", nullable(one.began_mono_ns)},
          {"done_mono_ns", nullable(one.done_mono_ns)},
          {"by_agent", one.by_agent},
          {"processes", one.processes},
          {"error", one.error},
          {"output", one.output},
          {"undo", one.undo}};
}

json path_json(const PathRecord& path) {
  return {{"stage", path.stage},
          {"from", path.from},
          {"to", path.to},
          {"address", path.address},
          {"expected_cut", path.expected_cut},
          {"sent", path.sent},
          {"received", path.received},
          {"sent_in_window", path.sent_in_window},
          {"received_in_window", path.received_in_window},
          {"rtt_p50_ns", path.rtt_p50_ns},
          {"allowed_loss", path.allowed_loss}};
}

json event_json(const EventRecord& event) {
  return {{"at_mono_ns", event.at_mono_ns},
          {"kind", event.kind},
          {"node", event.node},
          {"text", event.text}};
}

json verdict_json(const VerdictRecord& verdict) {
  return {{"expectation", verdict.expectation},
          {"page", verdict.page},
          {"predicted", verdict.predicted},
          {"verdict", verdict.verdict},
          {"unit", verdict.unit},
          {"evidence", verdict.evidence},
          {"measured", nullable(verdict.measured)},
          {"bound", nullable(verdict.bound)},
          {"margin", nullable(verdict.margin)},
          {"at_mono_ns", nullable(verdict.at_mono_ns)}};
}

// Segments are [from, last, value] in mono ns; the value null = unknown.
json series_json(const Series& series) {
  json segments = json::array();
  for (const Segment& segment : series.segments) {
    segments.push_back({to_ns(segment.from), to_ns(segment.last), nullable(segment.value)});
  }
  return {{"signal", series.signal},
          {"labels", series.labels},
          {"stale_after_ns", series.stale_after.count()},
          {"segments", std::move(segments)}};
}

template <class T, class Make>
json list(const std::vector<T>& records, Make&& make) {
  json result = json::array();
  for (const T& record : records) result.push_back(make(record));
  return result;
}

}  // namespace

json header_json(const RunRecord& run) {
  return {{"id", run.id},
          {"title", run.title},
          {"caveat", run.caveat},
          {"experiment_path", run.experiment_path},
          {"cluster_name", run.cluster_name},
          {"cluster_path", run.cluster_path},
          {"labels", run.labels},
          {"variables", run.variables},
          {"versions", run.versions},
          {"started", format_wall(run.started_wall_ns)},
          {"started_wall_ns", run.started_wall_ns},
          {"started_mono_ns", run.started_mono_ns},
          {"ended_wall_ns", nullable(run.ended_wall_ns)},
          {"fault_mono_ns", nullable(run.fault_mono_ns)},
          {"uncertainty_ns", run.uncertainty_ns},
          {"verdict", to_string(run.verdict)},
          {"reason", run.reason},
          {"controller",
           {{"pid", run.controller_pid},
            {"start_ticks", run.controller_start_ticks},
            {"boot_id", run.boot_id}}}};
}

Result<json> run_document(const Store& store, RunId run, DocumentParts parts) {
  ZQ_TRY(const RunRecord record, store.run(run));
  ZQ_TRY(const auto phases, store.phases(run));
  ZQ_TRY(const auto nodes, store.nodes(run));
  ZQ_TRY(const auto verdicts, store.verdicts(run));
  ZQ_TRY(const auto evidence, store.evidence(run));
  ZQ_TRY(const auto paths, store.paths(run));
  ZQ_TRY(const auto queues, store.queues(run));
  ZQ_TRY(const auto measurements, store.measurements(run));
  ZQ_TRY(const auto processes, store.processes(run));
  ZQ_TRY(const auto events, store.events(run));
  json document = {
      {"format", "zonequake-run"},
      {"schema_version", migrations().size()},
      {"zonequake_version", ZQ_VERSION},
      {"run", header_json(record)},
      {"phases", list(phases, phase_json)},
      {"nodes", list(nodes, [&](const NodeRecord& node) { return node_json(node, parts.texts); })},
      {"verdicts", list(verdicts, verdict_json)},
      {"evidence", list(evidence, evidence_json)},
      {"paths", list(paths, path_json)},
      {"measurements", list(measurements, measurement_json)},
      {"queues", list(queues, queue_json)},
      {"processes", list(processes, process_json)},
      {"events", list(events, event_json)}};
  if (parts.texts) {
    document["run"]["experiment_text"] = record.experiment_text;
    document["run"]["cluster_text"] = record.cluster_text;
    json plan = json::parse(record.plan_json, nullptr, false);
    document["plan"] = plan.is_discarded() ? json(nullptr) : std::move(plan);
  }
  if (parts.series) {
    ZQ_TRY(const auto series, store.series(run));
    document["series"] = list(series, series_json);
  }
  return document;
}

std::string dump_json(const json& document) {
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<std::string> Store::export_json(RunId run) const {
  ZQ_TRY(const json document, run_document(*this, run, {.texts = true, .series = true}));
  return dump_json(document);
}

Result<std::string> run_json(const Store& store, RunId run) {
  ZQ_TRY(const json document, run_document(store, run, {}));
  return dump_json(document);
}

std::string runs_json(std::span<const RunRecord> runs) {
  json list = json::array();
  for (const RunRecord& run : runs) list.push_back(header_json(run));
  return dump_json(list);
}

}  // namespace zq
