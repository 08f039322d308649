// Two nodes, a fault between them, and what both agents would tell of it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "controller/run/path_asked.h"
#include "controller/run/path_measure.h"
#include "controller/run/throughput.h"

namespace zq::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr std::uint16_t kPort = 5799;

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

}  // namespace zq::test
