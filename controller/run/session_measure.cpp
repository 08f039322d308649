// Stages of the path probes, and throughput.
#include <algorithm>
#include <future>

#include "agent/base/capability.h"
#include "controller/run/session.h"

namespace zq {
namespace {

constexpr Nanos kAnswerTime = std::chrono::seconds(20);  // as agents say
// Of the network itself, like a testbed's permanent environment: TCP gets no further in two
// seconds.
constexpr Nanos kLongRoundTrip = std::chrono::milliseconds(50);
constexpr Nanos kGlance = std::chrono::milliseconds(50);
constexpr Nanos kThroughputStale = std::chrono::seconds(5);

}  // namespace

PathSnapshot RunSession::begin_stage(MonoTime complete_until) {
  return poll_paths(complete_until, true);
}

void RunSession::take_stage(const PathStage& stage, const PathSnapshot& first,
                            const PathSnapshot& last) {
  MeasureSettings settings{.delay_tolerance = experiment_.verify.delay_tolerance,
                           .probe_rate = options_.arm.probe_rate,
                           .with_bulk = has_bulk(experiment_)};
  for (const auto& names : capabilities_) {
    settings.keeps_order.push_back(!names.contains(capability::kNetem) &&
                                   names.contains(capability::kDelayLine));
  }
  const std::vector<MeasurementRecord> asked =
      measure_asked({.stage = stage, .reference = reference_, .first = first, .last = last},
                    cluster_, plan_, settings);
  PathMeasurement measurement = measure_paths(stage, cluster_, plan_, first, last);
  allow_losses(measurement.records, asked);
  take_measurement(std::move(measurement));
  findings_.merge(assess_measurements(asked));
  measurements_.insert(measurements_.end(), asked.begin(), asked.end());
}

std::vector<CappedBorder> RunSession::capped_borders(const MeasureWindow& window) const {
  if (!experiment_.verify.throughput) return {};
  bool sum = false;
  for (const Phase& phase : experiment_.phases) {
    for (const Fault& fault : phase.faults) sum = sum || fault.cross_section_bps > 0;
  }
  std::vector<CappedBorder> borders =
      find_capped_borders(cluster_, plan_, options_.arm.probe_port, window.begin, window.end, sum);
  for (CappedBorder& border : borders) {
    for (const CappedBorder::Sender& sender : border.senders) {
      const Nanos before{reference_.at(sender.path.key).rtt.p50_ns};
      border.held_back = border.held_back || before > kLongRoundTrip;
    }
  }
  return borders;
}

Status RunSession::measure_throughput(const PlannedPhase& phase, const MeasureWindow& window) {
  for (const CappedBorder& border : capped_borders(window)) {
    const MonoTime started = mono_now();
    const CappedBorder::Sender& first = border.senders.front();
    if (started + kThroughputTime + kThroughputPause > *fault_at_ + window.end) {
      findings_.inconclusive.push_back(fmt::format(
          "{}: the phase is too short to measure the throughput of {} -> {}; let it last {} longer",
          window.stage, cluster_.nodes[first.path.key.from].name,
          cluster_.nodes[first.path.key.to].name,
          format_duration(kThroughputTime + kThroughputPause)));
      continue;
    }
    std::map<std::size_t, zonequake::ThroughputRequest> requests;
    for (const CappedBorder::Sender& sender : border.senders) {
      zonequake::ThroughputRequest& request = requests[sender.path.key.from];
      *request.mutable_run() = run_;
      request.set_address(to_wire(sender.path.address));
      request.set_milliseconds(static_cast<std::uint32_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(kThroughputTime).count()));
    }
    // The agents answer when they are done; meanwhile the run is watched as ever.
    auto replies = std::async(std::launch::async, [&] {
      return fleet_->measure_throughput(requests, kThroughputTime + kAnswerTime);
    });
    Status watched;
    do {
      watched = watch(mono_now() + kGlance, phase.name, *fault_at_ + phase.from,
                      phase.until - phase.from);
    } while (watched && replies.wait_for(std::chrono::seconds(0)) != std::future_status::ready);
    take_throughput(window, border, replies.get());
    ZQ_CHECK(std::move(watched));
  }
  return {};
}

void RunSession::take_throughput(const MeasureWindow& window, const CappedBorder& border,
                                 const std::vector<Result<zonequake::ThroughputReply>>& replies) {
  double total = 0;
  std::vector<Sample> samples;
  // Replies are in the order of the senders' nodes.
  std::vector<const CappedBorder::Sender*> senders;
  for (const CappedBorder::Sender& sender : border.senders) senders.push_back(&sender);
  std::sort(senders.begin(), senders.end(),
            [](const auto* a, const auto* b) { return a->path.key.from < b->path.key.from; });
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const PlannedPath& path = senders[i]->path;
    const Node& from = cluster_.nodes[path.key.from];
    const Node& to = cluster_.nodes[path.key.to];
    if (!replies[i] || replies[i]->took_ns() <= 0) {
      findings_.inconclusive.push_back(fmt::format(
          "{}: the throughput of {} -> {} could not be measured: {}", window.stage, from.name,
          to.name, replies[i] ? "nothing was sent" : replies[i].error().message));
      return;
    }
    const double bps =
        static_cast<double>(replies[i]->bytes()) * 8e9 / static_cast<double>(replies[i]->took_ns());
    total += bps;
    samples.push_back(
        {"net.throughput_mbps",
         {{"from", from.name}, {"to", to.name}, {"from_zone", from.zone}, {"to_zone", to.zone}},
         mono_now(),
         bps / 1e6});
  }
  hub_->add(samples, kThroughputStale);
  const bool several = senders.size() > 1;
  const PlannedPath& path = senders.front()->path;
  const MeasurementRecord record = throughput_record(
      window.stage, cluster_.nodes[path.key.from].name, cluster_.nodes[path.key.to].name,
      several ? fmt::format("{} senders at once", senders.size()) : path.address.to_string(),
      border.rate_bps, total, border.held_back);
  findings_.merge(assess_measurements({record}));
  measurements_.push_back(record);
}

}  // namespace zq
