#include "controller/run/path_measure.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "controller/run/tolerance.h"
#include "results/path_passes.h"

namespace zq {
namespace {

constexpr std::uint64_t kFewLatencies = 20;  // below, a median says too little
constexpr std::uint64_t kFewEchoes = 10;     // not every probe asks for one
constexpr std::uint64_t kFewProbes = 30;     // below, a share says too little
constexpr double kRelativeTolerance = 0.05;
// Probes between two agents' countings, and those of a stage's beginning and end.
constexpr double kSlackProbes = 2;

double to_ms(Nanos duration) { return to_seconds(duration) * 1e3; }
double ns_to_ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }

std::uint64_t growth(std::uint64_t before, std::uint64_t after) {
  return after >= before ? after - before : after;
}

// Everything that is known of one path in one stage.
class Path {
 public:
  Path(const MeasuredStage& measured, const Cluster& cluster, const PlannedPath& path,
       const AskedPath& asked, const AskedPath& back, const MeasureSettings& settings,
       double error_rate)
      : measured_(measured),
        path_(path),
        asked_(asked),
        back_(back),
        settings_(settings),
        error_rate_(error_rate),
        then_(measured.first.at(path.key)),
        now_(measured.last.at(path.key)),
        reference_(measured.reference.at(path.key)) {
    base_.stage = measured.stage.name;
    base_.from = cluster.nodes[path.key.from].name;
    base_.to = cluster.nodes[path.key.to].name;
    base_.address = path.address.to_string();
    sent_ = growth(then_.sent, now_.sent);
    received_ = growth(then_.received, now_.received);
  }

  std::vector<MeasurementRecord> records() {
    std::vector<MeasurementRecord> records{loss()};
    if (!measured_.stage.window && measured_.stage.name == "before") return records;
    if (asked_.loss.low < 0.9) {
      records.push_back(delay());
      if (asked_.only != nullptr && asked_.jitter_ms > 0 && asked_.reorder.high == 0 &&
          !path_.agentless) {
        records.push_back(jitter(*asked_.only));
      }
    }
    if (path_.agentless) return records;  // echoes tell of each probe once, whatever its way
    if (asked_.duplicate.high > 0) records.push_back(duplicate());
    if (asked_.only != nullptr && asked_.reorder.high > 0 && asked_.jitter_ms == 0) {
      records.push_back(reorder(*asked_.only));
    }
    return records;
  }

 private:
  [[nodiscard]] MeasurementRecord row(const char* quantity, double asked,
                                      std::uint64_t samples) const {
    MeasurementRecord record = base_;
    record.quantity = quantity;
    record.asked = asked;
    record.samples = samples;
    return record;
  }

  static void judge(MeasurementRecord& record, std::uint64_t enough) {
    if (!record.measured || record.samples < enough) return;
    const bool within = record.low <= *record.measured && *record.measured <= record.high;
    record.within = within ? "yes" : "no";
  }

  // What a share may be by chance, and by probes that are on their way at either end of the stage.
  [[nodiscard]] Range chance(const Range& asked, std::uint64_t trials, double variance) const {
    Range range = share_range(asked.low, trials, variance, error_rate_);
    range.include(share_range(asked.high, trials, variance, error_rate_));
    const double jitter_probes = 2 * asked_.jitter_ms / 1e3 * settings_.probe_rate;
    const double skew_probes =
        path_.agentless
            ? 0
            : settings_.probe_rate * counting_skew(path_.key, measured_.first, measured_.last);
    const double slack = (kSlackProbes + jitter_probes + skew_probes) /
                         static_cast<double>(std::max<std::uint64_t>(trials, 1));
    return {std::max(0.0, range.low - slack), std::min(1.0, range.high + slack)};
  }

  MeasurementRecord loss() {
    MeasurementRecord record = row("loss", asked_.mean_loss, sent_);
    const Impairment* only = asked_.only;
    Range range = chance(asked_.loss, sent_, only != nullptr ? loss_variance(only->loss) : 1);
    // Flipped bits break checksums, where they hit what one covers.
    if (asked_.corrupt.high > 0) {
      range.high = std::min(1.0, range.high + chance(asked_.corrupt, sent_, 1).high);
    }
    // A flapping fault may be met at any point of its period.
    if (asked_.flapping > 0 && measured_.stage.window) {
      const double turns = asked_.flapping * (1 - asked_.flapping) * 2 * flap_weight();
      range = {std::max(0.0, range.low - turns), std::min(1.0, range.high + turns)};
    }
    // What the network loses by itself, like a testbed's permanent environment, is lost all the
    // same.
    if (reference_.sent >= kFewProbes && reference_.received < reference_.sent) {
      const double own =
          1 - static_cast<double>(reference_.received) / static_cast<double>(reference_.sent);
      range.high = std::min(1.0, range.high + chance({own, own}, reference_.sent, 1).high);
    }
    record.low = range.low;
    record.high = std::min(1.0, range.high + (asked_.loss.high == 0 ? kAllowedLoss : 0.0));
    if (sent_ > 0) {
      record.measured =
          1 - std::min(1.0, static_cast<double>(received_) / static_cast<double>(sent_));
    }
    judge(record, kFewProbes);
    return record;
  }

  // Share of the stage that one period is.
  [[nodiscard]] double flap_weight() const {
    const auto& window = *measured_.stage.window;
    const double length = to_seconds(window.until_t - window.from_t);
    return length > 0 ? std::min(1.0, to_seconds(asked_.longest_period) / length) : 1.0;
  }

  MeasurementRecord delay() {
    const auto& nodes = path_.key;
    const auto uncertainty_at = [&](const PathSnapshot& snapshot) {
      return snapshot.clock(nodes.from).uncertainty + snapshot.clock(nodes.to).uncertainty;
    };
    const auto offset_at = [&](const PathSnapshot& snapshot) {
      return (snapshot.clock(nodes.to).offset - snapshot.clock(nodes.from).offset).count();
    };
    const Nanos uncertainty =
        std::max(uncertainty_at(measured_.reference), uncertainty_at(measured_.last));
    const bool one_way = !path_.agentless && uncertainty <= settings_.clock_uncertainty;
    const PathSnapshot::Latency& now = one_way ? now_.one_way : now_.rtt;
    const PathSnapshot::Latency& then = one_way ? reference_.one_way : reference_.rtt;
    MeasurementRecord record = row("delay_ms", asked_.mean_delay_ms, now.count);
    double tolerance = to_ms(settings_.delay_tolerance) + kRelativeTolerance * asked_.delay_ms.high;
    record.low = asked_.delay_ms.low;
    record.high = asked_.delay_ms.high;
    if (one_way) {
      tolerance += to_ms(uncertainty);
    } else if (!path_.agentless) {  // the echo's way is in it too
      tolerance +=
          kRelativeTolerance * back_.delay_ms.high + (back_.delay_ms.high - back_.delay_ms.low);
      widen_by_jitter(record, back_, now.count);
    }
    widen_by_jitter(record, asked_, now.count);
    if (asked_.reorder.high > 0.4) record.low = 0;  // most skip the delay
    record.low = record.low - tolerance;
    record.high = record.high + tolerance;
    if (now.count > 0 && then.count > 0) {
      std::int64_t change = now.p50_ns - then.p50_ns;
      if (one_way) change -= offset_at(measured_.last) - offset_at(measured_.reference);
      record.measured = ns_to_ms(change);
      if (!one_way && !path_.agentless) *record.measured -= back_.mean_delay_ms;
    }
    judge(record, one_way ? kFewLatencies : kFewEchoes);
    if (then.count < kFewEchoes) record.within = "unknown";
    return record;
  }

  // A median of few draws may be off by what lies between neighbouring ranks.
  void widen_by_jitter(MeasurementRecord& record, const AskedPath& asked,
                       std::uint64_t count) const {
    if (asked.jitter_ms <= 0) return;
    if (asked.only == nullptr) {
      record.low -= asked.jitter_ms;
      record.high += asked.jitter_ms;
      return;
    }
    const auto [low, high] = quantile_range(*asked.only, 0.5, count);
    record.low += std::min(0.0, low * asked.jitter_ms);
    record.high += std::max(0.0, high * asked.jitter_ms);
    if (overtakes(*asked.only)) record.high += jitter_reach(*asked.only) * asked.jitter_ms;
  }

  // Probes follow each other so closely that one would overtake another, on a lane that keeps
  // order.
  [[nodiscard]] bool overtakes(const Impairment& impairment) const {
    const NodeId sender = path_.key.from;
    const bool keeps = sender < settings_.keeps_order.size() && settings_.keeps_order[sender];
    return keeps &&
           to_seconds(impairment.jitter) * (1 + jitter_reach(impairment)) * settings_.probe_rate >
               1;
  }

  [[nodiscard]] Range quantile_range(const Impairment& impairment, double rank,
                                     std::uint64_t count) const {
    const double correlation = std::min(0.99, impairment.delay_correlation);
    const double draws =
        std::max(1.0, static_cast<double>(count) * (1 - correlation) / (1 + correlation));
    const double reach = normal_distance(error_rate_) * std::sqrt(rank * (1 - rank) / draws);
    return {jitter_quantile(impairment, rank - reach), jitter_quantile(impairment, rank + reach)};
  }

  MeasurementRecord jitter(const Impairment& impairment) {
    MeasurementRecord record = row("jitter_ms", asked_.jitter_ms, now_.one_way.count);
    // The distance from the median to the 90th percentile tells the scale of the distribution.
    const double scale = jitter_quantile(impairment, 0.9) - jitter_quantile(impairment, 0.5);
    if (scale <= 0) return record;
    const Range middle = quantile_range(impairment, 0.5, now_.one_way.count);
    const Range upper = quantile_range(impairment, 0.9, now_.one_way.count);
    const double tolerance = to_ms(settings_.delay_tolerance) +
                             kRelativeTolerance * (asked_.jitter_ms + asked_.delay_ms.high);
    // Netem's correlated delays spread less than independent ones.
    const double least = overtakes(impairment) || impairment.delay_correlation > 0
                             ? 0
                             : (upper.low - middle.high) / scale;
    record.low = std::max(0.0, least) * asked_.jitter_ms - tolerance;
    record.high = (upper.high - middle.low) / scale * asked_.jitter_ms + tolerance;
    if (now_.one_way.count > 0 && reference_.one_way.count > 0) {
      const double now = ns_to_ms(now_.one_way.p90_ns - now_.one_way.p50_ns);
      const double then = ns_to_ms(reference_.one_way.p90_ns - reference_.one_way.p50_ns);
      record.measured = std::max(0.0, now - then) / scale;
    }
    judge(record, kFewLatencies);
    return record;
  }

  MeasurementRecord duplicate() {
    MeasurementRecord record = row("duplicate", asked_.duplicate.high, received_);
    const Range range = chance(asked_.duplicate, received_, 1);
    record.low = range.low;
    record.high = range.high;
    if (received_ > 0) {
      record.measured = static_cast<double>(growth(then_.duplicates, now_.duplicates)) /
                        static_cast<double>(received_);
    }
    judge(record, kFewProbes);
    return record;
  }

  MeasurementRecord reorder(const Impairment& impairment) {
    // The share that skips the delay shows in those that it overtakes.
    const double ahead = to_seconds(impairment.delay) * settings_.probe_rate;
    MeasurementRecord record =
        row("reorder", overtaken_share(impairment.reorder, ahead), received_);
    const Range skips = chance(asked_.reorder, received_, 1);
    record.low = 1;
    record.high = 0;
    constexpr int kSteps = 20;
    for (int i = 0; i <= kSteps; ++i) {
      const double share = skips.low + (skips.high - skips.low) * i / kSteps;
      // Probes are not sent like clockwork.
      for (const double distance : {ahead - 1, ahead, ahead + 1}) {
        const double value = overtaken_share(share, distance);
        record.low = std::min(record.low, value);
        record.high = std::max(record.high, value);
      }
    }
    const double slack = kSlackProbes / static_cast<double>(std::max<std::uint64_t>(received_, 1));
    record.low = std::max(0.0, record.low - slack);
    record.high = std::min(1.0, record.high + slack);
    if (received_ > 0) {
      record.measured = static_cast<double>(growth(then_.out_of_order, now_.out_of_order)) /
                        static_cast<double>(received_);
    }
    judge(record, kFewProbes);
    return record;
  }

  const MeasuredStage& measured_;
  const PlannedPath& path_;
  const AskedPath& asked_;
  const AskedPath& back_;
  const MeasureSettings& settings_;
  const double error_rate_;
  const PathSnapshot::Counters& then_;
  const PathSnapshot::Counters& now_;
  const PathSnapshot::Counters& reference_;
  MeasurementRecord base_;
  std::uint64_t sent_ = 0, received_ = 0;
};

bool answered(const PathSnapshot& snapshot, const PlannedPath& path) {
  return snapshot.answered(path.key.from) && (path.agentless || snapshot.answered(path.key.to));
}

AskedPath asked_back(const PathStage& stage, const Plan& plan, PlannedPath path) {
  std::swap(path.key.from, path.key.to);
  return asked_in(stage, plan, path);
}

std::string with_unit(const std::string& quantity, double value) {
  if (quantity == "rate_mbps") return fmt::format("{:.3f} Mbit/s", value);
  if (quantity.ends_with("_ms")) return fmt::format("{:.3f} ms", value);
  return fmt::format("{:.2f} %", value * 100);
}

}  // namespace

bool ever_impaired(const Plan& plan, const PlannedPath& path, std::uint16_t port) {
  const Nanos end = plan.phases.empty() ? Nanos{0} : plan.phases.back().until;
  const PathStage whole{
      .name = {},
      .window =
          PathStage::Inside{
              .from = {}, .until = {}, .from_t = Nanos{0}, .until_t = std::max(end, Nanos{1})},
      .port = port};
  return asked_in(whole, plan, path).impaired;
}

std::vector<MeasurementRecord> measure_asked(const MeasuredStage& measured, const Cluster& cluster,
                                             const Plan& plan, const MeasureSettings& settings) {
  struct Chosen {
    PlannedPath path;
    AskedPath asked, back;
  };
  std::vector<Chosen> chosen;
  for (const PlannedPath& path : planned_paths(cluster, plan)) {
    AskedPath asked = asked_in(measured.stage, plan, path);
    const bool about =
        measured.stage.window ? asked.impaired : ever_impaired(plan, path, measured.stage.port);
    if (!about || asked.cut || asked.mixed) continue;
    if (!answered(measured.first, path) || !answered(measured.last, path)) continue;
    AskedPath back = asked_back(measured.stage, plan, path);
    // What waits on the way back tells in round trips.
    if (probes_starve(asked, settings.probe_rate, settings.with_bulk) ||
        (settings.with_bulk && probes_starve(back, settings.probe_rate, true)))
      continue;
    chosen.push_back({path, asked, back});
  }
  std::vector<MeasurementRecord> records;
  if (chosen.empty()) return records;
  // So many comparisons at once: none of them may be called wrong by chance.
  const double error_rate = kErrorRate / static_cast<double>(chosen.size());
  for (const Chosen& one : chosen) {
    auto rows =
        Path(measured, cluster, one.path, one.asked, one.back, settings, error_rate).records();
    std::move(rows.begin(), rows.end(), std::back_inserter(records));
  }
  return records;
}

Findings assess_measurements(const std::vector<MeasurementRecord>& measurements) {
  Findings findings;
  for (const MeasurementRecord& one : measurements) {
    const std::string what =
        fmt::format("{}: {} of {} -> {} ({})", one.stage,
                    one.quantity.substr(0, one.quantity.find('_')), one.from, one.to, one.address);
    if (one.within == "no") {
      findings.invalid.push_back(
          fmt::format("{} was {}, asked was {}; {} to {} are within tolerance", what,
                      with_unit(one.quantity, *one.measured), with_unit(one.quantity, one.asked),
                      with_unit(one.quantity, one.low), with_unit(one.quantity, one.high)));
    } else if (one.within == "unknown") {
      findings.inconclusive.push_back(
          fmt::format("{}: {} samples are too few to compare it with {}", what, one.samples,
                      with_unit(one.quantity, one.asked)));
    }
  }
  return findings;
}

void allow_losses(std::vector<PathRecord>& records,
                  const std::vector<MeasurementRecord>& measurements) {
  using Key = std::tuple<std::string, std::string, std::string, std::string>;
  std::map<Key, double> allowed;
  for (const MeasurementRecord& one : measurements) {
    if (one.quantity == "loss") allowed[{one.stage, one.from, one.to, one.address}] = one.high;
  }
  for (PathRecord& record : records) {
    const auto found = allowed.find({record.stage, record.from, record.to, record.address});
    if (found != allowed.end()) record.allowed_loss = found->second;
  }
}

MeasurementRecord throughput_record(const std::string& stage, const std::string& from,
                                    const std::string& to, const std::string& address,
                                    double asked_bps, double measured_bps, bool held_back) {
  constexpr double kLeast = 0.9;
  MeasurementRecord record;
  record.stage = stage;
  record.from = from;
  record.to = to;
  record.address = address;
  record.quantity = "rate_mbps";
  record.asked = asked_bps / 1e6;
  record.measured = measured_bps / 1e6;
  record.low = held_back ? 0 : kLeast * record.asked;
  record.high = record.asked;
  record.samples = 1;
  record.within = record.low <= *record.measured && *record.measured <= record.high ? "yes" : "no";
  return record;
}

}  // namespace zq
