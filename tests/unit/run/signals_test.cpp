#include <gtest/gtest.h>

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
    for (NodeId node = 0; node < 2; ++node) {
      plan.programmes.push_back(
          {.node = node,
           .group = node,
           .entries = {{Direction::kEgress, 1 - node, {{seconds(0), seconds(10)}}}},
           .path_targets = {1 - node}});
    }
  }

  // Both directions: `sent` probes a second, of which `received` arrive.
  PathSnapshot snapshot(std::uint64_t sent, std::uint64_t received) const {
    PathSnapshot result;
    for (NodeId node = 0; node < 2; ++node) {
      const std::string address =
          std::string(10, '\0') + "\xff\xff" + std::string("\x0a\x42\x01", 3) + "\x01";
      zonequake::PathsReply reply;
      auto* out = reply.add_sent();
      out->set_node(cluster.nodes[1 - node].name);
      out->set_address(address);
      out->set_sent(sent);
      out->set_rtt_p50_ns(2'000'000);
      auto* in = reply.add_received();
      in->set_node(cluster.nodes[1 - node].name);
      in->set_address(address);
      in->set_received(received);
      result.add(cluster, node, reply);
    }
    return result;
  }

  Cluster cluster;
  Plan plan;
};

TEST_F(Matrix, RecordsAreDifferencesAndKnowWhatThePlanCuts) {
  const auto records = path_records("during:x", cluster, plan, snapshot(10, 10), snapshot(60, 10),
                                    std::pair<Nanos, Nanos>(seconds(1), seconds(2)));
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].sent, 50U);
  EXPECT_EQ(records[0].received, 0U);
  EXPECT_TRUE(records[0].expected_cut);
  const auto after = path_records("after", cluster, plan, snapshot(0, 0), snapshot(5, 5),
                                  std::pair<Nanos, Nanos>(seconds(10), seconds(20)));
  EXPECT_FALSE(after[0].expected_cut);
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
