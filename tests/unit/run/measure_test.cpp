// What is asked of a path against what is measured.
#include "tests/unit/run/measure_fixture.h"

namespace zq {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

TEST_F(Measure, WhatIsToComeTwiceIsLostOnce) {
  Impairment both;
  both.duplicate = 0.5;
  both.loss = {LossModel::Kind::kRandom, {0.66}};
  impair(both);
  const auto rows = measure({.sent = 1000, .received = 670, .duplicates = 170});
  EXPECT_EQ(row(rows, "loss").within + row(rows, "duplicate").within, "yesyes");
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
