// What belongs to a run: nodes, phases, paths, events, verdicts, series. See also
// store_evidence.cpp.
#include <nlohmann/json.hpp>

#include "results/redact.h"
#include "results/store_impl.h"

namespace zq {

Status Store::put_nodes(RunId run, std::span<const NodeRecord> nodes) {
  return impl_->write("cannot store nodes", [&]() -> Status {
    ZQ_CHECK(impl_->require_run(run));
    SQLite::Statement put(
        *impl_->database,
        "INSERT INTO nodes (run, name, position, zone, region, roles, addresses, group_id, kernel, "
        "agent_version, boot_id, clock_offset_ns, clock_uncertainty_ns, dump_before, dump_after, "
        "capabilities) "
        "VALUES (?1, ?2, (SELECT count(*) FROM nodes WHERE run = ?1), ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
        "?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT (run, name) DO UPDATE SET zone = excluded.zone, "
        "region = excluded.region, roles = excluded.roles, addresses = excluded.addresses, "
        "group_id = excluded.group_id, kernel = excluded.kernel, agent_version = "
        "excluded.agent_version, boot_id = excluded.boot_id, clock_offset_ns = "
        "excluded.clock_offset_ns, clock_uncertainty_ns = excluded.clock_uncertainty_ns, "
        "dump_before = excluded.dump_before, dump_after = excluded.dump_after");
    for (const NodeRecord& node : nodes) {
      execute(put, run, node.name, node.zone, node.region, node.roles, node.addresses, node.group,
              node.kernel, node.agent_version, node.boot_id, node.clock_offset_ns,
              node.clock_uncertainty_ns, node.dump_before, node.dump_after, node.capabilities);
    }
    return {};
  });
}

Result<std::vector<NodeRecord>> Store::nodes(RunId run) const {
  return impl_->read<NodeRecord>(
      "SELECT name, zone, region, roles, addresses, group_id, kernel, agent_version, boot_id, "
      "clock_offset_ns, clock_uncertainty_ns, dump_before, dump_after, capabilities FROM nodes "
      "WHERE run = ? ORDER BY position",
      [](Row& row) {
        return NodeRecord{row.text(),    row.text(), row.text(), row.text(), row.text(),
                          row.small(),   row.text(), row.text(), row.text(), row.integer(),
                          row.integer(), row.text(), row.text(), row.text()};
      },
      run);
}

Status Store::put_phases(RunId run, std::span<const PhaseRecord> phases) {
  return impl_->write("cannot store phases", [&]() -> Status {
    ZQ_CHECK(impl_->require_run(run));
    SQLite::Statement put(
        *impl_->database,
        "INSERT INTO phases (run, name, position, planned_from_ns, planned_until_ns, from_mono_ns, "
        "until_mono_ns) VALUES (?1, ?2, (SELECT count(*) FROM phases WHERE run = ?1), ?3, ?4, ?5, "
        "?6) ON CONFLICT (run, name) DO UPDATE SET planned_from_ns = excluded.planned_from_ns, "
        "planned_until_ns = excluded.planned_until_ns, from_mono_ns = excluded.from_mono_ns, "
        "until_mono_ns = excluded.until_mono_ns");
    for (const PhaseRecord& phase : phases) {
      execute(put, run, phase.name, phase.planned_from_ns, phase.planned_until_ns,
              phase.from_mono_ns, phase.until_mono_ns);
    }
    return {};
  });
}

Result<std::vector<PhaseRecord>> Store::phases(RunId run) const {
  return impl_->read<PhaseRecord>(
      "SELECT name, planned_from_ns, planned_until_ns, from_mono_ns, until_mono_ns FROM phases "
      "WHERE run = ? ORDER BY position",
      [](Row& row) {
        return PhaseRecord{row.text(), row.integer(), row.integer(), row.maybe_integer(),
                           row.maybe_integer()};
      },
      run);
}

Status Store::add_paths(RunId run, std::span<const PathRecord> paths) {
  return impl_->write("cannot store paths", [&]() -> Status {
    ZQ_CHECK(impl_->require_run(run));
    SQLite::Statement add(*impl_->database,
                          "INSERT INTO paths (run, stage, from_node, to_node, address, "
                          "expected_cut, sent, received, sent_in_window, received_in_window, "
                          "rtt_p50_ns, allowed_loss) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    for (const PathRecord& path : paths) {
      execute(add, run, path.stage, path.from, path.to, path.address, path.expected_cut, path.sent,
              path.received, path.sent_in_window, path.received_in_window, path.rtt_p50_ns,
              path.allowed_loss);
    }
    return {};
  });
}

Result<std::vector<PathRecord>> Store::paths(RunId run) const {
  return impl_->read<PathRecord>(
      "SELECT stage, from_node, to_node, address, expected_cut, sent, received, sent_in_window, "
      "received_in_window, rtt_p50_ns, allowed_loss FROM paths WHERE run = ? ORDER BY id",
      [](Row& row) {
        return PathRecord{row.text(),         row.text(),    row.text(),  row.text(),
                          row.integer() != 0, row.count(),   row.count(), row.count(),
                          row.count(),        row.integer(), row.real()};
      },
      run);
}

Status Store::add_event(RunId run, const EventRecord& event) {
  return impl_->write("cannot store an event", [&]() -> Status {
    ZQ_CHECK(impl_->require_run(run));
    SQLite::Statement add(
        *impl_->database,
        "INSERT INTO events (run, at_mono_ns, kind, node, text) VALUES (?, ?, ?, ?, ?)");
    execute(add, run, event.at_mono_ns, event.kind, event.node, redact_urls(event.text));
    return {};
  });
}

Result<std::vector<EventRecord>> Store::events(RunId run) const {
  return impl_->read<EventRecord>(
      "SELECT at_mono_ns, kind, node, text FROM events WHERE run = ? ORDER BY at_mono_ns, id",
      [](Row& row) {
        return EventRecord{row.integer(), row.text(), row.text(), row.text()};
      },
      run);
}

Status Store::put_verdicts(RunId run, std::span<const VerdictRecord> verdicts) {
  return impl_->write("cannot store verdicts", [&]() -> Status {
    ZQ_CHECK(impl_->require_run(run));
    SQLite::Statement remove(*impl_->database, "DELETE FROM verdicts WHERE run = ?");
    execute(remove, run);
    SQLite::Statement add(
        *impl_->database,
        "INSERT INTO verdicts (run, position, expectation, page, predicted, verdict, unit, "
        "evidence, measured, bound, margin, at_mono_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?)");
    std::int64_t position = 0;
    for (const VerdictRecord& verdict : verdicts) {
      execute(add, run, position++, verdict.expectation, verdict.page, verdict.predicted,
              verdict.verdict, verdict.unit, redact_urls(verdict.evidence), verdict.measured,
              verdict.bound, verdict.margin, verdict.at_mono_ns);
    }
    return {};
  });
}

Result<std::vector<VerdictRecord>> Store::verdicts(RunId run) const {
  return impl_->read<VerdictRecord>(
      "SELECT expectation, page, predicted, verdict, unit, evidence, measured, bound, margin, "
      "at_mono_ns FROM verdicts WHERE run = ? ORDER BY position",
      [](Row& row) {
        return VerdictRecord{
            row.text(), row.text(),       row.text(),       row.text(),       row.text(),
            row.text(), row.maybe_real(), row.maybe_real(), row.maybe_real(), row.maybe_integer()};
      },
      run);
}

Status Store::add_samples(RunId run, std::span<const SeriesSample> samples) {
  return guarded("cannot store samples", [&] { return impl_->series.add(run, samples); });
}

Result<std::vector<Series>> Store::series(RunId run) const {
  struct Header {
    std::int64_t id;
    Series series;
  };
  ZQ_TRY(std::vector<Header> headers,
         impl_->read<Header>(
             "SELECT id, signal, labels, stale_after_ns FROM series WHERE run = ? ORDER BY id",
             [](Row& row) {
               Header header{row.integer(), {}};
               header.series.signal = row.text();
               header.series.labels = nlohmann::json::parse(row.text()).get<Labels>();
               header.series.stale_after = Nanos{row.integer()};
               return header;
             },
             run));
  return guarded("cannot read samples", [&]() -> Result<std::vector<Series>> {
    SQLite::Statement segments(
        *impl_->database,
        "SELECT from_ns, last_ns, value FROM segments WHERE series = ? ORDER BY from_ns");
    std::vector<Series> result;
    result.reserve(headers.size());
    for (Header& header : headers) {
      bind_all(segments, header.id);
      while (segments.executeStep()) {
        Row row(segments);
        header.series.segments.push_back(
            {mono_from_ns(row.integer()), mono_from_ns(row.integer()), row.maybe_real()});
      }
      result.push_back(std::move(header.series));
    }
    return result;
  });
}

}  // namespace zq
