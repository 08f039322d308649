#include <gtest/gtest.h>

#include <set>

#include "controller/run/path_matrix.h"
#include "controller/run/signal_hub.h"

namespace zq {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

MonoTime at(int ms) { return mono_from_ns(0) + milliseconds(ms); }

TEST(AppendSample, EqualValuesExtendAndOthersBegin) {
  Series series{.signal = "app.answers", .labels = {}, .stale_after = seconds(1), .segments = {}};
  append_sample(series, at(0), 1);
  append_sample(series, at(500), 1);
  append_sample(series, at(900), 0);
  append_sample(series, at(1000), std::nullopt);
  const std::vector<Segment> expected{
      {at(0), at(500), 1}, {at(900), at(900), 0}, {at(1000), at(1000), std::nullopt}};
  EXPECT_EQ(series.segments, expected);
}

TEST(AppendSample, SilenceLongerThanStaleStaysVisible) {
  Series series{.signal = "app.answers", .labels = {}, .stale_after = seconds(1), .segments = {}};
  append_sample(series, at(0), 1);
  append_sample(series, at(5000), 1);
  ASSERT_EQ(series.segments.size(), 2U);
  EXPECT_EQ(series.at(at(3000)), std::nullopt);
  EXPECT_EQ(series.at(at(5100)), 1);
}

TEST(AppendSample, TimeNeverRunsBackwards) {
  Series series{.signal = "app.answers", .labels = {}, .stale_after = seconds(1), .segments = {}};
  append_sample(series, at(100), 1);
  append_sample(series, at(50), 0);
  ASSERT_EQ(series.segments.size(), 2U);
  EXPECT_EQ(series.segments[1].from, at(100));
}

class Matrix : public ::testing::Test {
 protected:
  Matrix() {
    cluster.nodes.resize(2);
    cluster.nodes[0].name = "a1";
    cluster.nodes[0].zone = "a";
    cluster.nodes[1].name = "b1";
    cluster.nodes[1].zone = "b";
    plan.groups = {{0}, {1}};
    cluster.nodes[0].addresses = {*IpPrefix::parse("10.66.1.1")};
    cluster.nodes[1].addresses = {*IpPrefix::parse("10.66.2.1")};
    const Window window{seconds(0), seconds(10)};
    for (NodeId node = 0; node < 2; ++node) {
      plan.programmes.push_back(
          {.node = node,
           .group = node,
           .entries = {{Direction::kEgress, 1 - node, {{.window = window}}, {window}}},
           .path_targets = {1 - node}});
    }
  }

  // Both directions: `sent` probes so far, of which `received` arrived and `leaked` should not
  // have.
  PathSnapshot snapshot(std::uint64_t sent, std::uint64_t received, MonoTime when = at(1500),
                        std::set<NodeId> silent = {}, std::uint64_t leaked = 0) const {
    const NodeIndex index(cluster);
    PathSnapshot result;
    for (NodeId node = 0; node < 2; ++node) {
      if (silent.contains(node)) continue;
      const std::string address =
          std::string(10, '\0') + "\xff\xff" + std::string("\x0a\x42\x01") + "\x01";
      zonequake::PathsReply reply;
      auto* out = reply.add_sent();
      out->set_node(cluster.nodes[1 - node].name);
      out->set_address(address);
      out->set_sent(sent);
      out->set_rtt_p50_ns(2'000'000);
      if (received > 0) {  // an agent does not know of senders that it has never heard
        auto* in = reply.add_received();
        in->set_node(cluster.nodes[1 - node].name);
        in->set_address(address);
        in->set_received(received);
        in->set_received_in_window(leaked);
      }
      result.add(index, node, reply, when);
    }
    return result;
  }

  static PathStage during(int from_ms, int until_ms) {
    return {.name = "during:x",
            .window = PathStage::Inside{at(from_ms), at(until_ms), milliseconds(from_ms),
                                        milliseconds(until_ms)}};
  }

  Cluster cluster;
  Plan plan;
};

TEST_F(Matrix, RecordsAreDifferencesAndKnowWhatThePlanCuts) {
  const auto cut = measure_paths(during(1000, 2000), cluster, plan, snapshot(10, 10, at(1100)),
                                 snapshot(60, 10, at(1900)));
  ASSERT_EQ(cut.records.size(), 2U);
  EXPECT_TRUE(cut.unmeasured.empty());
  EXPECT_EQ(cut.records[0].sent, 50U);
  EXPECT_EQ(cut.records[0].received, 0U);
  EXPECT_TRUE(cut.records[0].expected_cut);
  const auto after = measure_paths(during(10'000, 20'000), cluster, plan,
                                   snapshot(0, 0, at(11'000)), snapshot(5, 5, at(12'000)));
  EXPECT_FALSE(after.records[0].expected_cut);
}

TEST_F(Matrix, PathsThatNeverDeliveredAreMeasuredAllTheSame) {
  const auto measured = measure_paths({.name = "before", .window = {}}, cluster, plan,
                                      snapshot(0, 0), snapshot(50, 0));
  ASSERT_EQ(measured.records.size(), 2U);
  for (const PathRecord& record : measured.records) {
    EXPECT_EQ(record.sent, 50U);
    EXPECT_EQ(record.received, 0U);
  }
}

TEST_F(Matrix, SilentAndLateAgentsLeavePathsOpen) {
  for (const auto& [before, after] :
       {std::pair(snapshot(10, 10, at(1100), {1}), snapshot(60, 10, at(1900))),
        std::pair(snapshot(10, 10, at(1100)), snapshot(60, 10, at(1900), {0})),
        std::pair(snapshot(10, 10, at(900)), snapshot(60, 10, at(1900))),
        std::pair(snapshot(10, 10, at(1100)), snapshot(60, 10, at(2000)))}) {
    const auto measured = measure_paths(during(1000, 2000), cluster, plan, before, after);
    EXPECT_TRUE(measured.records.empty());
    EXPECT_EQ(measured.unmeasured.size(), 2U);
  }
}

TEST_F(Matrix, ProbesSentInsideAWindowThatArriveAreLeaksWheneverTheyDo) {
  EXPECT_TRUE(leaks(cluster, snapshot(60, 10)).empty());
  EXPECT_EQ(leaks(cluster, snapshot(60, 10, at(1), {}, 3)).size(), 2U);
}

TEST_F(Matrix, SignalsSayReachableUnreachableAndUnknown) {
  const auto value = [&](const PathSnapshot& before, const PathSnapshot& after) {
    return path_samples(cluster, before, after, at(0)).front().value;
  };
  EXPECT_EQ(value(snapshot(10, 10), snapshot(20, 20)), 1);
  EXPECT_EQ(value(snapshot(10, 10), snapshot(20, 10)), 0);
  EXPECT_EQ(value(snapshot(10, 10), snapshot(10, 10)), std::nullopt);  // nothing was sent
}

}  // namespace
}  // namespace zq
