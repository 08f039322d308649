// Duplicates, damage and disorder, as they are on the wire.
#include <fmt/core.h>

#include <map>

#include "tests/vm/faults/border.h"
#include "tests/vm/faults/statistics.h"

namespace zq::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPayload = 1000;

class OnTheWire : public OnPath {
 protected:
  void report(const char* kind, double asked, const Draw& draw) const {
    fmt::print("{} {} {:g} %: {} of {} = {:.2f} %\n", to_string(GetParam()), kind, asked * 100,
               draw.hits, draw.of,
               100.0 * static_cast<double>(draw.hits) / static_cast<double>(draw.of));
  }
};

TEST_P(OnTheWire, DuplicatesComeTwice) {
  Border border(GetParam());
  Impairment impairment;
  impairment.duplicate = 0.1;
  border.impair(impairment);
  expect_probability(0.1, [&] {
    const Wire wire = border.wire();
    const auto result = border.stream({.count = 2000, .interval = 200us, .payload = kPayload});
    EXPECT_EQ(result.distinct().size(), result.sent);
    const std::uint64_t extra = result.arrivals.size() - result.sent;
    EXPECT_EQ(wire.frames(kPayload).size(), result.sent + extra);
    const Draw draw{extra, result.sent};
    report("duplicate", 0.1, draw);
    return draw;
  });
}

TEST_P(OnTheWire, DamageIsOneBit) {
  Border border(GetParam());
  Impairment impairment;
  impairment.corrupt = 0.2;
  if (!impaired_or_refused(border, impairment)) return;
  const double frame = 14 + (GetParam().v6 ? 40 : 20) + 8 + static_cast<double>(kPayload);
  const double visible = static_cast<double>(kPayload - kStreamHeader) / frame;
  expect_probability(0.2 * visible, [&] {
    const Wire wire = border.wire();
    const auto result = border.stream({.count = 2000, .interval = 200us, .payload = kPayload});
    Draw draw{0, result.sent};
    for (const Frame& found : wire.frames(kPayload)) {
      if (found.wrong_bits == 0) continue;
      EXPECT_EQ(found.wrong_bits, 1);
      ++draw.hits;
    }
    // Checksums keep them from the application.
    EXPECT_LE(result.arrivals.size(), result.sent - draw.hits);
    report("corrupt (where it can be seen)", 0.2 * visible, draw);
    return draw;
  });
}

TEST_P(OnTheWire, DisorderIsASkippedDelay) {
  Border border(GetParam());
  Impairment impairment = delayed(20ms);
  impairment.reorder = 0.25;
  if (!impaired_or_refused(border, impairment)) return;
  expect_probability(0.25, [&] {
    const Wire wire = border.wire();
    const auto result = border.stream({.count = 2000, .payload = kPayload});
    EXPECT_EQ(result.arrivals.size(), result.sent);
    Draw draw{0, result.sent};
    std::size_t overtaken = 0;
    std::uint64_t newest = 0;
    for (const Arrival& arrival : result.arrivals) {
      if (arrival.latency < 10ms) ++draw.hits;
      if (arrival.number < newest) ++overtaken;  // late, because another one skipped
      newest = std::max(newest, arrival.number);
    }
    EXPECT_GT(overtaken, 0U);
    std::size_t late = 0;
    newest = 0;
    for (const Frame& found : wire.frames(kPayload)) {
      if (found.number < newest) ++late;
      newest = std::max(newest, found.number);
    }
    EXPECT_EQ(late, overtaken);
    report("reorder", 0.25, draw);
    return draw;
  });
}
ZQ_ON_ALL_PATHS(OnTheWire);

class Combination : public OnPath {};

TEST_P(Combination, EachPartIsInForce) {
  Border border(GetParam());
  const Nanos floor = quantile(border.stream({}).latencies(), 0.5);
  Impairment impairment = delayed(50ms);
  impairment.duplicate = 0.05;
  impairment.rate_bps = 20'000'000;
  impairment.loss = {LossModel::Kind::kRandom, {0.1}};
  if (!impaired_or_refused(border, impairment)) return;
  Draw lost;
  Draw doubled;
  std::vector<Nanos> latencies;
  const auto draw = [&] {
    const auto result = border.stream({.count = 2000, .patience = 400ms});
    latencies = result.latencies();
    lost = {result.sent - latencies.size(), result.sent};
    doubled = {result.arrivals.size() - latencies.size(), latencies.size()};
    return lost;
  };
  // A packet and its copy are lost or kept together: the model decides before it is doubled.
  expect_probability(0.1, draw);
  expect_probability(0.05, [&] { return draw(), doubled; });
  const Nanos error = quantile(latencies, 0.5) - floor - impairment.delay;
  fmt::print("{} {}: lost {} and doubled {} of {}, median {:+.3f} ms\n", to_string(GetParam()),
             zq::to_string(impairment), lost.hits, doubled.hits, lost.of, milliseconds(error));
  EXPECT_LE(error, has_netem() ? Nanos(100us) : Nanos(300us));
  EXPECT_GE(error, -20us);

  impairment.loss = {};
  impairment.duplicate = 0;
  border.impair(impairment);
  const double share = border.goodput(2s, 3s) / 20e6;
  fmt::print("{} {}: goodput {:.1f} % of the cap\n", to_string(GetParam()),
             zq::to_string(impairment), share * 100);
  EXPECT_GE(share, 0.9);
  EXPECT_LE(share, 1.0);
}
ZQ_ON_ALL_PATHS(Combination);

}  // namespace
}  // namespace zq::test
