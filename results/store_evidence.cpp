// What the nodes say of the faults: evidence, queues, measurements, process steps.
#include "results/redact.h"
#include "results/store_impl.h"

namespace zq {

Status Store::add_evidence(RunId run, std::span<const FaultEvidenceRecord> evidence) {
  return impl_->write("cannot store evidence", [&]() -> Status {
    ZQ_CHECK(impl_->require_run(run));
    SQLite::Statement add(
        *impl_->database,
        "INSERT INTO evidence (run, node, direction, group_id, from_mono_ns, until_mono_ns, "
        "dropped_packets, dropped_bytes, passed_packets, exempt_packets, last_passed_ns, "
        "first_dropped_ns, last_dropped_ns, first_passed_ns, segment, treatment, scope, asked, "
        "impaired_packets, impaired_bytes, impaired_segments, lost_packets, duplicated_packets, "
        "held_dropped_packets, held_passed_packets, first_impaired_ns, last_impaired_ns) VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    for (const FaultEvidenceRecord& one : evidence) {
      execute(add, run, one.node, one.direction, one.group, one.from_mono_ns, one.until_mono_ns,
              one.dropped_packets, one.dropped_bytes, one.passed_packets, one.exempt_packets,
              one.last_passed_ns, one.first_dropped_ns, one.last_dropped_ns, one.first_passed_ns,
              one.segment, one.treatment, one.scope, one.asked, one.impaired_packets,
              one.impaired_bytes, one.impaired_segments, one.lost_packets, one.duplicated_packets,
              one.held_dropped_packets, one.held_passed_packets, one.first_impaired_ns,
              one.last_impaired_ns);
    }
    return {};
  });
}

Result<std::vector<FaultEvidenceRecord>> Store::evidence(RunId run) const {
  return impl_->read<FaultEvidenceRecord>(
      "SELECT node, direction, group_id, from_mono_ns, until_mono_ns, dropped_packets, "
      "dropped_bytes, passed_packets, exempt_packets, last_passed_ns, first_dropped_ns, "
      "last_dropped_ns, first_passed_ns, segment, treatment, scope, asked, impaired_packets, "
      "impaired_bytes, impaired_segments, lost_packets, duplicated_packets, held_dropped_packets, "
      "held_passed_packets, first_impaired_ns, last_impaired_ns FROM evidence WHERE run = ? "
      "ORDER BY id",
      [](Row& row) {
        return FaultEvidenceRecord{
            row.text(),    row.text(),   row.small(), row.integer(), row.integer(), row.count(),
            row.count(),   row.count(),  row.count(), row.integer(), row.integer(), row.integer(),
            row.integer(), row.small(),  row.text(),  row.text(),    row.text(),    row.count(),
            row.count(),   row.count(),  row.count(), row.count(),   row.count(),   row.count(),
            row.integer(), row.integer()};
      },
      run);
}

Status Store::add_queues(RunId run, std::span<const QueueRecord> queues) {
  return impl_->write("cannot store queues", [&]() -> Status {
    ZQ_CHECK(impl_->require_run(run));
    SQLite::Statement add(
        *impl_->database,
        "INSERT INTO queues (run, node, direction, group_id, asked, lane, rate_bps, limit_packets, "
        "burst_bytes, quantum_bytes, drain_ns, sent_packets, sent_bytes, dropped_packets, "
        "backlog_packets, discarded_packets) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?)");
    for (const QueueRecord& queue : queues) {
      execute(add, run, queue.node, queue.direction, queue.group, queue.asked, queue.lane,
              queue.rate_bps, queue.limit_packets, queue.burst_bytes, queue.quantum_bytes,
              queue.drain_ns, queue.sent_packets, queue.sent_bytes, queue.dropped_packets,
              queue.backlog_packets, queue.discarded_packets);
    }
    return {};
  });
}

Result<std::vector<QueueRecord>> Store::queues(RunId run) const {
  return impl_->read<QueueRecord>(
      "SELECT node, direction, group_id, asked, lane, rate_bps, limit_packets, burst_bytes, "
      "quantum_bytes, drain_ns, sent_packets, sent_bytes, dropped_packets, backlog_packets, "
      "discarded_packets FROM queues WHERE run = ? ORDER BY id",
      [](Row& row) {
        return QueueRecord{row.text(),  row.text(),  row.small(), row.text(),  row.text(),
                           row.count(), row.count(), row.count(), row.count(), row.integer(),
                           row.count(), row.count(), row.count(), row.count(), row.count()};
      },
      run);
}

Status Store::add_measurements(RunId run, std::span<const MeasurementRecord> measurements) {
  return impl_->write("cannot store measurements", [&]() -> Status {
    ZQ_CHECK(impl_->require_run(run));
    SQLite::Statement add(*impl_->database,
                          "INSERT INTO measurements (run, stage, from_node, to_node, address, "
                          "quantity, asked, measured, low, high, samples, within) VALUES (?, ?, ?, "
                          "?, ?, ?, ?, ?, ?, ?, ?, ?)");
    for (const MeasurementRecord& one : measurements) {
      execute(add, run, one.stage, one.from, one.to, one.address, one.quantity, one.asked,
              one.measured, one.low, one.high, one.samples, one.within);
    }
    return {};
  });
}

Result<std::vector<MeasurementRecord>> Store::measurements(RunId run) const {
  return impl_->read<MeasurementRecord>(
      "SELECT stage, from_node, to_node, address, quantity, asked, measured, low, high, samples, "
      "within FROM measurements WHERE run = ? ORDER BY id",
      [](Row& row) {
        return MeasurementRecord{row.text(), row.text(),  row.text(),       row.text(),
                                 row.text(), row.real(),  row.maybe_real(), row.real(),
                                 row.real(), row.count(), row.text()};
      },
      run);
}

Status Store::put_process(RunId run, const ProcessRecord& process) {
  return impl_->write("cannot store a process step", [&]() -> Status {
    ZQ_CHECK(impl_->require_run(run));
    SQLite::Statement put(*impl_->database,
                          "INSERT OR REPLACE INTO process_steps (run, node, step, target, "
                          "planned_mono_ns, began_mono_ns, done_mono_ns, by_agent, processes, "
                          "error, output, undo) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    execute(put, run, process.node, process.step, redact_urls(process.target),
            process.planned_mono_ns, process.began_mono_ns, process.done_mono_ns, process.by_agent,
            process.processes, redact_urls(process.error), redact_secrets(process.output),
            redact_urls(process.undo));
    return {};
  });
}

Result<std::vector<ProcessRecord>> Store::processes(RunId run) const {
  return impl_->read<ProcessRecord>(
      "SELECT node, step, target, planned_mono_ns, began_mono_ns, done_mono_ns, by_agent, "
      "processes, error, output, undo FROM process_steps WHERE run = ? ORDER BY planned_mono_ns, "
      "step, node, target",
      [](Row& row) {
        return ProcessRecord{row.text(),         row.text(),          row.text(),
                             row.integer(),      row.maybe_integer(), row.maybe_integer(),
                             row.integer() != 0, row.small(),         row.text(),
                             row.text(),         row.text()};
      },
      run);
}

}  // namespace zq
