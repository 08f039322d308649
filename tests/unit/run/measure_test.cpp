// What is asked of a path, when it is measured, and how the two compare.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "controller/run/path_asked.h"
#include "controller/run/path_measure.h"
#include "controller/run/throughput.h"

namespace zq {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint16_t kPort = 5799;

// Counters of a1 -> b1 as both agents would tell them.
struct Told {
  std::uint64_t sent = 0, received = 0, duplicates = 0, out_of_order = 0;
  std::int64_t one_way_us = 0, rtt_us = 0, spread_us = 0;
  std::uint64_t latencies = 400;
  ClockEstimate receiver_clock = {};
};

// a1 and b1, in a group each; what a sends to b is treated as the test says, from T for 10 s.
class Measure : public ::testing::Test {
 protected:
  Measure() {
    auto parsed = parse_cluster(R"(name = "two"
[[region]]
name = "r"
[[region.zone]]
name = "a"
node = [{ name = "a1", addresses = ["10.66.1.1"], agent = "unix:/a" }]
[[region.zone]]
name = "b"
node = [{ name = "b1", addresses = ["10.66.2.1"], agent = "unix:/b" }]
)",
                                "two.toml");
    if (!parsed) throw std::runtime_error(parsed.error().message);
    cluster = std::move(*parsed);
    plan.groups = {{0}, {1}};
    for (NodeId node = 0; node < 2; ++node) {
      plan.programmes.push_back({.node = node,
                                 .group = node,
                                 .entries = {},
                                 .path_targets = {1 - node},
                                 .has_agent = true});
    }
    plan.phases = {{.name = "baseline", .from = seconds(-5), .until = Nanos{0}, .down = {}},
                   {.name = "slow", .from = Nanos{0}, .until = seconds(10), .down = {}},
                   {.name = "recovery", .from = seconds(10), .until = seconds(15), .down = {}}};
  }

  FaultSegment& add(NodeId node, Direction direction, Treatment treatment, Window window) {
    auto& entries = plan.programmes[node].entries;
    if (entries.empty() || entries.back().direction != direction) {
      entries.push_back({.direction = direction, .peer = 1 - node, .segments = {}, .windows = {}});
    }
    FaultSegment& segment = entries.back().segments.emplace_back();
    segment.window = window;
    segment.treatment = treatment;
    return segment;
  }
  FaultSegment& impair(const Impairment& impairment, Window window = {Nanos{0}, seconds(10)}) {
    FaultSegment& segment = add(0, Direction::kEgress, Treatment::kImpair, window);
    segment.impairment = plan.impairments.size();
    plan.impairments.push_back(impairment);
    return segment;
  }
  void delay(milliseconds value) {
    Impairment slow;
    slow.delay = value;
    impair(slow);
  }

  [[nodiscard]] AskedPath asked(Nanos begin = Nanos{0}, Nanos end = seconds(10)) const {
    return asked_of(plan, {.from = 0, .to = 1, .port = kPort}, begin, end);
  }

  // The sender counts `late` after the receiver.
  [[nodiscard]] PathSnapshot snapshot(const Told& told, Nanos late = {}) const {
    const NodeIndex index(cluster);
    PathSnapshot result;
    zonequake::PathsReply sender, receiver;
    auto* sent = sender.add_sent();
    sent->set_node("b1");
    sent->set_address(std::string(10, '\0') + "\xff\xff" + "\x0a\x42\x02\x01");
    sent->set_sent(told.sent);
    sent->mutable_stage_rtt()->set_count(told.latencies / 2);
    sent->mutable_stage_rtt()->set_p50_ns(told.rtt_us * 1000);
    auto* received = receiver.add_received();
    received->set_node("a1");
    received->set_address(sent->address());
    received->set_received(told.received);
    received->set_duplicates(told.duplicates);
    received->set_out_of_order(told.out_of_order);
    received->mutable_stage_one_way()->set_count(told.latencies);
    received->mutable_stage_one_way()->set_p50_ns(told.one_way_us * 1000);
    received->mutable_stage_one_way()->set_p90_ns((told.one_way_us + told.spread_us) * 1000);
    result.add(index, 0, sender, mono_from_ns(0) + late, {});
    result.add(index, 1, receiver, mono_from_ns(0), told.receiver_clock);
    return result;
  }

  // What is measured between nothing and `told`, against a latency of 1 ms (one way) before.
  [[nodiscard]] std::vector<MeasurementRecord> measure(
      const Told& told, const MeasureSettings& settings = {},
      const Told& before = {.one_way_us = 1000, .rtt_us = 2000}) const {
    const PathStage stage{.name = "during:slow",
                          .window = PathStage::Inside{.from = mono_from_ns(0),
                                                      .until = mono_from_ns(10'000'000'000),
                                                      .from_t = Nanos{0},
                                                      .until_t = seconds(10)},
                          .port = kPort,
                          .probe_rate = 50};
    const PathSnapshot reference = snapshot(before), first = snapshot({}), last = snapshot(told);
    return measure_asked({.stage = stage, .reference = reference, .first = first, .last = last},
                         cluster, plan, settings);
  }
  static const MeasurementRecord& row(const std::vector<MeasurementRecord>& rows,
                                      const std::string& quantity) {
    for (const MeasurementRecord& one : rows) {
      if (one.quantity == quantity) return one;
    }
    throw std::runtime_error("no row of " + quantity);
  }

  Cluster cluster;
  Plan plan;
};

TEST_F(Measure, WhatIsAskedIsThatOfTheFirstSegmentThatHoldsAProbe) {
  delay(milliseconds(50));
  EXPECT_TRUE(asked().impaired);
  EXPECT_DOUBLE_EQ(asked().delay_ms.low, 50);
  EXPECT_NE(asked().only, nullptr);
  FaultSegment drop;
  drop.window = {Nanos{0}, seconds(10)};
  drop.scope.protocol = IPPROTO_TCP;
  auto& segments = plan.programmes[0].entries[0].segments;
  segments.insert(segments.begin(), drop);
  EXPECT_FALSE(asked().cut);  // probes are no TCP
  segments.front().scope.protocol = IPPROTO_UDP;
  EXPECT_TRUE(asked().cut);
  segments.front().scope.destination_ports = {{53, 53}};
  EXPECT_FALSE(asked().cut);
  segments.front().scope.destination_ports = {{5000, 6000}};
  EXPECT_TRUE(asked().cut);
}

TEST_F(Measure, ACutAtEitherEndIsACutAndOneOfAPartOfTheTimeIsNeither) {
  add(1, Direction::kIngress, Treatment::kDrop, {Nanos{0}, seconds(5)});
  EXPECT_TRUE(asked(Nanos{0}, seconds(5)).cut);
  EXPECT_FALSE(asked().cut);
  EXPECT_TRUE(asked().mixed);
  EXPECT_FALSE(asked(seconds(5), seconds(10)).mixed);
}

TEST_F(Measure, RampsAreRangesAndFlappingIsAShareOfTheTime) {
  Impairment slow;
  slow.delay = milliseconds(10);
  impair(slow, {Nanos{0}, seconds(5)});
  slow.delay = milliseconds(110);
  impair(slow, {seconds(5), seconds(10)});
  EXPECT_DOUBLE_EQ(asked().delay_ms.low, 10);
  EXPECT_DOUBLE_EQ(asked().delay_ms.high, 110);
  EXPECT_DOUBLE_EQ(asked().mean_delay_ms, 60);
  EXPECT_EQ(asked().only, nullptr);
  plan.programmes[0].entries.clear();
  FaultSegment& drop = add(0, Direction::kEgress, Treatment::kDrop, {Nanos{0}, seconds(10)});
  drop.period = seconds(1);
  drop.on = milliseconds(250);
  EXPECT_FALSE(asked().cut);
  EXPECT_DOUBLE_EQ(asked().loss.low, 0.25);
  EXPECT_TRUE(asked(Nanos{0}, milliseconds(500)).mixed);  // not one period
}

TEST_F(Measure, StepsOfARampAreMeasuredApartWhereTheyAreLongEnough) {
  Impairment slow;
  slow.delay = milliseconds(500);
  impair(slow, {Nanos{0}, seconds(5)});
  slow.delay = milliseconds(100);
  impair(slow, {seconds(5), seconds(10)});
  const auto windows = measure_windows(plan, plan.phases[1], {});
  ASSERT_THAT(windows, SizeIs(2));
  EXPECT_EQ(windows[0].stage, "during:slow 1 of 2");
  EXPECT_EQ(windows[0].from, Nanos{milliseconds(800)});
  EXPECT_EQ(windows[1].from, seconds(5) + milliseconds(800));  // what the first step holds
  EXPECT_EQ(windows[1].until, seconds(10) - milliseconds(600));
}

TEST_F(Measure, APhaseOfManyShortStepsIsMeasuredAsAWhole) {
  for (int i = 0; i < 10; ++i) {
    Impairment slow;
    slow.delay = milliseconds(10 * (i + 1));
    impair(slow, {seconds(i), seconds(i + 1)});
  }
  const auto windows = measure_windows(plan, plan.phases[1], {});
  ASSERT_THAT(windows, SizeIs(1));
  EXPECT_EQ(windows[0].stage, "during:slow");
  EXPECT_EQ(windows[0].begin, Nanos{0});
  EXPECT_EQ(windows[0].end, Nanos{seconds(10)});
}

TEST_F(Measure, DelayIsTheChangeOfTheMedianOneWay) {
  delay(milliseconds(50));
  const auto rows = measure({.sent = 500, .received = 500, .one_way_us = 51'300, .rtt_us = 52'500});
  const MeasurementRecord& one = row(rows, "delay_ms");
  EXPECT_NEAR(*one.measured, 50.3, 1e-9);
  EXPECT_DOUBLE_EQ(one.low, 42.5);  // 5 ms and 5 %
  EXPECT_DOUBLE_EQ(one.high, 57.5);
  EXPECT_EQ(one.within, "yes");
  EXPECT_EQ(one.samples, 400U);
  EXPECT_EQ(row(rows, "loss").within, "yes");
  EXPECT_THAT(assess_measurements(rows).invalid, IsEmpty());
  EXPECT_THAT(assess_measurements(rows).inconclusive, IsEmpty());
}

TEST_F(Measure, ADelayThatIsNotThereMakesTheRunInvalid) {
  delay(milliseconds(50));
  const auto rows = measure({.sent = 500, .received = 500, .one_way_us = 1'300, .rtt_us = 2'500});
  EXPECT_THAT(
      assess_measurements(rows).invalid,
      ElementsAre(AllOf(HasSubstr("delay of a1 -> b1 (10.66.2.1) was 0.300 ms"),
                        HasSubstr("asked was 50.000 ms"), HasSubstr("42.500 ms to 57.500 ms"))));
}

TEST_F(Measure, ClocksThatDriftAreCorrectedAndUncertainOnesLeaveItToTheRoundTrip) {
  delay(milliseconds(50));
  const Told before{.one_way_us = 1'000, .rtt_us = 2'000};
  // The receiver's clock has gained 20 ms since.
  Told told{.sent = 500, .received = 500, .one_way_us = 71'000, .rtt_us = 52'000};
  told.receiver_clock = {.offset = milliseconds(20), .uncertainty = milliseconds(1)};
  const MeasurementRecord one_way = row(measure(told, {}, before), "delay_ms");
  EXPECT_NEAR(*one_way.measured, 50, 1e-9);
  EXPECT_DOUBLE_EQ(one_way.high, 58.5);  // and the uncertainty
  told.receiver_clock.uncertainty = milliseconds(30);
  const MeasurementRecord rtt = row(measure(told, {}, before), "delay_ms");
  EXPECT_NEAR(*rtt.measured, 50, 1e-9);
  EXPECT_EQ(rtt.samples, 200U);
}

TEST_F(Measure, FewSamplesAreInconclusive) {
  delay(milliseconds(50));
  const auto rows =
      measure({.sent = 10, .received = 10, .one_way_us = 51'000, .rtt_us = 52'000, .latencies = 8});
  EXPECT_THAT(assess_measurements(rows).invalid, IsEmpty());
  EXPECT_THAT(assess_measurements(rows).inconclusive, SizeIs(2));
}

TEST_F(Measure, LossHasToBeThatOfTheModel) {
  Impairment lossy;
  lossy.loss.kind = LossModel::Kind::kRandom;
  lossy.loss.parameters[0] = 0.1;
  impair(lossy);
  const auto with = [&](std::uint64_t received) {
    return row(measure({.sent = 1000, .received = received, .one_way_us = 1'000}), "loss");
  };
  EXPECT_EQ(with(900).within, "yes");
  EXPECT_EQ(with(870).within, "yes");
  EXPECT_EQ(with(840).within, "no");
  EXPECT_EQ(with(1000).within, "no");
  std::vector<PathRecord> paths(1);
  paths[0].stage = "during:slow";
  paths[0].from = "a1";
  paths[0].to = "b1";
  paths[0].address = "10.66.2.1";
  paths[0].sent = 1000;
  paths[0].received = 865;
  EXPECT_THAT(assess_paths(paths).invalid, SizeIs(1));
  allow_losses(paths, {with(865)});
  EXPECT_THAT(assess_paths(paths).invalid, IsEmpty());
}

TEST_F(Measure, ASenderThatCountsLaterThanItsReceiverIsNotTakenForLoss) {
  delay(milliseconds(50));
  const PathStage stage{.name = "during:slow",
                        .window = PathStage::Inside{.from = mono_from_ns(0),
                                                    .until = mono_from_ns(10'000'000'000),
                                                    .from_t = Nanos{0},
                                                    .until_t = seconds(10)},
                        .port = kPort,
                        .probe_rate = 50};
  const Told told{.sent = 100, .received = 84, .one_way_us = 51'000, .rtt_us = 52'000};
  const PathSnapshot before = snapshot({.one_way_us = 1'000, .rtt_us = 2'000});
  const auto within = [&](Nanos late) {
    const PathSnapshot last = snapshot(told, late);
    const auto rows =
        measure_asked({.stage = stage, .reference = before, .first = snapshot({}), .last = last},
                      cluster, plan, {});
    auto paths = measure_paths(stage, cluster, plan, snapshot({}), last);
    std::erase_if(paths.records, [](const PathRecord& path) { return path.from != "a1"; });
    EXPECT_EQ(assess_paths(paths.records).invalid.empty(), row(rows, "loss").within == "yes");
    return row(rows, "loss").within;
  };
  EXPECT_EQ(within(Nanos{0}), "no");
  EXPECT_EQ(within(milliseconds(300)), "yes");  // 15 probes
}

TEST_F(Measure, WhatTheNetworkLosesByItselfIsNotHeldAgainstTheFault) {
  Impairment lossy;
  lossy.loss.kind = LossModel::Kind::kRandom;
  lossy.loss.parameters[0] = 0.1;
  impair(lossy);
  const Told told{.sent = 2000, .received = 1600, .one_way_us = 1'000};
  EXPECT_EQ(row(measure(told), "loss").within, "no");
  const Told before{.sent = 1000, .received = 900, .one_way_us = 1'000};
  EXPECT_EQ(row(measure(told, {}, before), "loss").within, "yes");
}

TEST_F(Measure, JitterIsToldFromTheSpread) {
  Impairment jittery;
  jittery.delay = milliseconds(100);
  jittery.jitter = milliseconds(50);
  impair(jittery);
  const auto with = [&](std::int64_t spread_us) {
    return row(measure({.sent = 5000,
                        .received = 5000,
                        .one_way_us = 101'000,
                        .spread_us = spread_us,
                        .latencies = 5000}),
               "jitter_ms");
  };
  EXPECT_NEAR(*with(40'000).measured, 50, 1e-9);  // uniform: 0.8 of it at the 90th percentile
  EXPECT_EQ(with(40'000).within, "yes");
  EXPECT_EQ(with(10'000).within, "no");
  EXPECT_EQ(with(70'000).within, "no");
}

TEST_F(Measure, DuplicatesAndOvertakingAreCounted) {
  Impairment odd;
  odd.delay = milliseconds(200);
  odd.duplicate = 0.05;
  odd.reorder = 0.25;
  impair(odd);
  const auto rows = measure({.sent = 1000,
                             .received = 1000,
                             .duplicates = 52,
                             .out_of_order = 700,
                             .one_way_us = 201'000});
  EXPECT_EQ(row(rows, "duplicate").within, "yes");
  EXPECT_EQ(row(rows, "reorder").within, "yes");
  const auto none = measure({.sent = 1000, .received = 1000, .one_way_us = 201'000});
  EXPECT_EQ(row(none, "duplicate").within, "no");
  EXPECT_EQ(row(none, "reorder").within, "no");
}

TEST_F(Measure, ProbesThatWouldFillACapAreNotHeldAgainstIt) {
  Impairment capped;
  capped.rate_bps = 64'000;
  impair(capped);
  EXPECT_THAT(measure({.sent = 1000, .received = 300, .one_way_us = 900'000}), IsEmpty());
  plan.impairments[0].rate_bps = 10'000'000;
  EXPECT_THAT(measure({.sent = 1000, .received = 1000, .one_way_us = 1'000}), SizeIs(2));
}

TEST_F(Measure, CappedBordersAreMeasuredOnceOrAllTogether) {
  Impairment capped;
  capped.rate_bps = 10'000'000;
  impair(capped);
  auto borders = find_capped_borders(cluster, plan, kPort, Nanos{0}, seconds(10), false);
  ASSERT_THAT(borders, SizeIs(1));
  EXPECT_DOUBLE_EQ(borders[0].rate_bps, 10e6);
  EXPECT_FALSE(borders[0].held_back);
  plan.impairments[0].delay = milliseconds(200);
  EXPECT_TRUE(find_capped_borders(cluster, plan, kPort, Nanos{0}, seconds(10), false)[0].held_back);
  EXPECT_THAT(find_capped_borders(cluster, plan, kPort, Nanos{0}, seconds(11), false), IsEmpty());
  EXPECT_EQ(throughput_time(3, seconds(6)), 2 * (kThroughputTime + kThroughputPause));
}

TEST(Throughput, IsFromNineTenthsOfTheCapToAllOfItAndNeverMore) {
  const auto within = [](double mbps, bool held_back = false) {
    return throughput_record("during:x", "a1", "b1", "10.66.2.1", 10e6, mbps * 1e6, held_back)
        .within;
  };
  EXPECT_EQ(within(9.5), "yes");
  EXPECT_EQ(within(8.9), "no");
  EXPECT_EQ(within(8.9, true), "yes");
  EXPECT_EQ(within(10.1), "no");
  EXPECT_EQ(within(10.1, true), "no");
}

TEST_F(Measure, AgentlessTargetsAreToldByEchoesOfBothWays) {
  Impairment slow;
  slow.delay = milliseconds(20);
  impair(slow);
  FaultSegment& back = add(0, Direction::kIngress, Treatment::kImpair, {Nanos{0}, seconds(10)});
  plan.impairments.push_back(slow);
  back.impairment = 1;
  plan.programmes[1].has_agent = false;
  plan.programmes[1].path_targets.clear();
  cluster.nodes[1].agent = kNoAgent;
  const NodeIndex index(cluster);
  const auto told = [&](std::uint64_t count, std::int64_t rtt_us) {
    zonequake::PathsReply reply;
    auto* sent = reply.add_sent();
    sent->set_node("b1");
    sent->set_address(std::string(10, '\0') + "\xff\xff" + "\x0a\x42\x02\x01");
    sent->set_sent(count);
    sent->set_echoed(count);
    sent->set_agentless(true);
    sent->mutable_stage_rtt()->set_count(count);
    sent->mutable_stage_rtt()->set_p50_ns(rtt_us * 1000);
    PathSnapshot snapshot;
    snapshot.add(index, 0, reply, mono_from_ns(1), {});
    return snapshot;
  };
  const PathStage stage{.name = "during:slow",
                        .window = PathStage::Inside{.from = mono_from_ns(0),
                                                    .until = mono_from_ns(10'000'000'000),
                                                    .from_t = Nanos{0},
                                                    .until_t = seconds(10)},
                        .port = kPort,
                        .probe_rate = 50};
  const PathSnapshot before = told(100, 1'000), first = told(100, 0), last = told(500, 41'000);
  const auto rows = measure_asked(
      {.stage = stage, .reference = before, .first = first, .last = last}, cluster, plan, {});
  EXPECT_NEAR(*row(rows, "delay_ms").measured, 40, 1e-9);
  EXPECT_DOUBLE_EQ(row(rows, "delay_ms").asked, 40);
  EXPECT_EQ(row(rows, "delay_ms").within, "yes");
  const auto measured = measure_paths(stage, cluster, plan, first, last);
  ASSERT_THAT(measured.records, SizeIs(1));  // nobody sends from b1
  EXPECT_EQ(measured.records[0].received, 400U);
  EXPECT_THAT(measured.unmeasured, IsEmpty());

  const auto paths = planned_paths(cluster, plan);
  EXPECT_FALSE(all_flow(paths, told(0, 0)));
  EXPECT_TRUE(all_flow(paths, told(1, 0)));
  const PathSnapshot difference = last.since(first);
  EXPECT_EQ(difference.at(paths.front().key).sent, 400U);
  EXPECT_EQ(difference.at(paths.front().key).received, 400U);
  EXPECT_EQ(difference.at(paths.front().key).rtt.p50_ns, 41'000'000);
}

}  // namespace
}  // namespace zq
