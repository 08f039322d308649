#include "controller/run/evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace zq {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t kT = 1'000'000'000'000;
constexpr std::int64_t kMs = 1'000'000;

// Two nodes in two groups, cut from each other for 10 s from T.
struct Fixture {
  Cluster cluster;
  Plan plan;
  std::vector<FaultEvidenceRecord> evidence;
  std::vector<PathRecord> paths;

  Fixture() {
    cluster.nodes.resize(2);
    cluster.nodes[0].name = "a1";
    cluster.nodes[1].name = "b1";
    plan.groups = {{0}, {1}};
    const std::vector<Window> windows{{Nanos{0}, std::chrono::seconds(10)}};
    const std::vector<FaultSegment> segments{{.window = windows.front()}};
    for (NodeId node = 0; node < 2; ++node) {
      const GroupId peer = 1 - node;
      PathRecord& path = paths.emplace_back();
      path.from = cluster.nodes[node].name;
      path.to = cluster.nodes[peer].name;
      path.stage = "during:partition";
      path.sent = path.sent_in_window = 100;
      plan.programmes.push_back({.node = node,
                                 .group = node,
                                 .entries = {{Direction::kEgress, peer, segments, windows},
                                             {Direction::kIngress, peer, segments, windows}},
                                 .path_targets = {1 - node}});
      for (const char* direction : {"egress", "ingress"}) {
        const bool egress = std::string(direction) == "egress";
        evidence.push_back({.node = cluster.nodes[node].name,
                            .direction = direction,
                            .group = peer,
                            .from_mono_ns = kT,
                            .until_mono_ns = kT + 10'000 * kMs,
                            .dropped_packets = egress ? 100U : 0U,
                            .dropped_bytes = egress ? 6400U : 0U,
                            .passed_packets = 0,
                            .exempt_packets = 0,
                            .last_passed_ns = kT - (node + 1) * kMs,
                            .first_dropped_ns = egress ? kT + (node + 2) * kMs : 0,
                            .last_dropped_ns = egress ? kT + 9'999 * kMs : 0,
                            .first_passed_ns = kT + 10'001 * kMs});
      }
    }
  }

  [[nodiscard]] Findings assess() const {
    return assess_gates(plan, cluster, mono_from_ns(kT), evidence, paths);
  }
};

TEST(Gates, SoundEvidenceHasNoFindings) {
  const Findings findings = Fixture().assess();
  EXPECT_THAT(findings.invalid, IsEmpty());
  EXPECT_THAT(findings.inconclusive, IsEmpty());
}

TEST(Gates, BorderWithoutDropsDidNotBite) {
  Fixture fixture;
  fixture.evidence[2].dropped_packets = 0;  // b1's egress, the only one that saw b -> a
  const Findings findings = fixture.assess();
  ASSERT_THAT(findings.invalid, SizeIs(1));
  EXPECT_THAT(findings.invalid[0], HasSubstr("from {b1} to {a1}"));
}

TEST(Gates, WithoutAnAttemptItIsOpenWhetherItBites) {
  Fixture fixture;
  fixture.evidence[2].dropped_packets = 0;
  fixture.paths[1].sent_in_window = 0;
  const Findings findings = fixture.assess();
  EXPECT_THAT(findings.invalid, IsEmpty());
  ASSERT_THAT(findings.inconclusive, SizeIs(1));
  EXPECT_THAT(findings.inconclusive[0], HasSubstr("from {b1} to {a1}"));
}

TEST(Gates, EveryNodeMustTellOfEveryWindow) {
  Fixture fixture;
  fixture.evidence.erase(fixture.evidence.begin() + 1);  // a1's ingress
  Findings findings = fixture.assess();
  ASSERT_THAT(findings.invalid, SizeIs(1));
  EXPECT_THAT(findings.invalid[0], HasSubstr("a1 gave no evidence"));
  fixture.evidence.clear();
  EXPECT_THAT(fixture.assess().invalid, SizeIs(4));  // two nodes, two directions that did not bite
}

TEST(Gates, PacketsPassedInsideTheWindowMakeItInvalid) {
  Fixture fixture;
  fixture.evidence[1].passed_packets = 3;
  const Findings findings = fixture.assess();
  ASSERT_THAT(findings.invalid, SizeIs(1));
  EXPECT_THAT(findings.invalid[0], HasSubstr("a1 let 3 packets pass"));
}

TEST(Gates, DropBeforeTAndPassAfterTAreFound) {
  Fixture fixture;
  fixture.evidence[0].first_dropped_ns = kT - 5;
  fixture.evidence[3].last_passed_ns = kT + 5;
  const Findings findings = fixture.assess();
  ASSERT_THAT(findings.invalid, SizeIs(2));
  EXPECT_THAT(findings.invalid[0], HasSubstr("a1 dropped a packet 5ns before T"));
  EXPECT_THAT(findings.invalid[1], HasSubstr("b1 let a packet pass 5ns after T"));
}

// Both nodes' egress and ingress segments become that of the test.
void treat(Fixture& fixture, const FaultSegment& segment, const std::string& treatment) {
  for (NodeProgramme& programme : fixture.plan.programmes) {
    for (ProgrammeEntry& entry : programme.entries) {
      entry.segments = {segment};
      entry.windows.clear();
    }
  }
  for (FaultEvidenceRecord& record : fixture.evidence) {
    record.treatment = treatment;
    record.dropped_packets = 0;
    record.first_dropped_ns = 0;
  }
}

FaultSegment whole_window() {
  FaultSegment segment;
  segment.window = {Nanos{0}, std::chrono::seconds(10)};
  return segment;
}

TEST(Gates, APartThatNothingMatchesProvesNothing) {
  Fixture fixture;
  FaultSegment segment = whole_window();
  segment.scope.protocol = 6;
  treat(fixture, segment, "drop");
  EXPECT_THAT(fixture.assess().invalid, IsEmpty());
  ASSERT_THAT(fixture.assess().inconclusive, SizeIs(2));
  EXPECT_THAT(fixture.assess().inconclusive[0], HasSubstr("met 'drop of tcp'"));
  for (FaultEvidenceRecord& record : fixture.evidence) record.dropped_packets = 1;
  EXPECT_THAT(fixture.assess().inconclusive, IsEmpty());
}

TEST(Gates, FlappingHasToDropAndToPass) {
  Fixture fixture;
  FaultSegment segment = whole_window();
  segment.period = std::chrono::seconds(1);
  segment.on = std::chrono::milliseconds(300);
  treat(fixture, segment, "drop");
  EXPECT_THAT(fixture.assess().inconclusive, SizeIs(2));  // dropped nothing
  for (FaultEvidenceRecord& record : fixture.evidence) record.dropped_packets = 30;
  for (PathRecord& path : fixture.paths) path.received = 70;
  EXPECT_THAT(fixture.assess().invalid, IsEmpty());
  EXPECT_THAT(fixture.assess().inconclusive, IsEmpty());
  fixture.paths[0].received = 0;
  ASSERT_THAT(fixture.assess().invalid, SizeIs(1));
  EXPECT_THAT(fixture.assess().invalid[0], HasSubstr("never let anything pass"));
}

TEST(Gates, ImpairmentsHaveToMeetPacketsOnEveryBorderAndDirection) {
  Fixture fixture;
  fixture.plan.impairments.resize(1);
  fixture.plan.impairments[0].delay = std::chrono::milliseconds(50);
  FaultSegment segment = whole_window();
  segment.treatment = Treatment::kImpair;
  treat(fixture, segment, "impair");
  fixture.evidence[0].impaired_packets = 10;  // a1's egress
  const Findings findings = fixture.assess();
  EXPECT_THAT(findings.invalid, IsEmpty());
  ASSERT_THAT(findings.inconclusive, SizeIs(1));
  EXPECT_THAT(findings.inconclusive[0], HasSubstr("from {b1} to {a1} met 'delay 50ms'"));
}

TEST(Queues, OverflowsAndPacketsThatWentPastAQueueMakeTheRunInvalid) {
  QueueRecord queue{.node = "a1", .direction = "egress"};
  queue.asked = "delay 50ms";
  queue.lane = "netem";
  queue.dropped_packets = 3;
  ASSERT_THAT(assess_queues({queue}).invalid, SizeIs(1));
  EXPECT_THAT(assess_queues({queue}).invalid[0], HasSubstr("lost 3 packets that nobody asked for"));
  queue.dropped_packets = 0;
  EXPECT_THAT(assess_queues({queue}).invalid, IsEmpty());
  zonequake::EvidenceReply reply;
  reply.add_counters();
  EXPECT_THAT(assess_counters("a1", reply).invalid, IsEmpty());
  reply.mutable_counters(0)->set_unqueued_packets(2);
  ASSERT_THAT(assess_counters("a1", reply).invalid, SizeIs(1));
  EXPECT_THAT(assess_counters("a1", reply).invalid[0], HasSubstr("let 2 packets go undelayed"));
}

PathRecord path(bool cut, std::uint64_t sent, std::uint64_t received) {
  return {.stage = "during:partition",
          .from = "a1",
          .to = "b1",
          .address = "10.66.2.1",
          .expected_cut = cut,
          .sent = sent,
          .received = received,
          .sent_in_window = cut ? sent : 0,
          .received_in_window = 0,
          .rtt_p50_ns = 0};
}

TEST(Paths, CutAndWholePathsAreToldApart) {
  EXPECT_THAT(assess_paths({path(true, 100, 0), path(false, 100, 99)}).invalid, IsEmpty());
  EXPECT_THAT(assess_paths({path(true, 100, 1)}).invalid, SizeIs(1));
  EXPECT_THAT(assess_paths({path(false, 100, 50)}).invalid, SizeIs(1));
  EXPECT_THAT(assess_paths({path(false, 100, 0)}).invalid, SizeIs(1));
}

TEST(Paths, FewPacketsMayMissTwo) {
  EXPECT_THAT(assess_paths({path(false, 5, 3)}).invalid, IsEmpty());
  EXPECT_THAT(assess_paths({path(false, 2, 0)}).invalid, SizeIs(1));
}

TEST(Paths, NoAttemptIsInconclusiveNotProof) {
  const Findings findings = assess_paths({path(true, 0, 0), path(false, 0, 0)});
  EXPECT_THAT(findings.invalid, IsEmpty());
  EXPECT_THAT(findings.inconclusive, SizeIs(2));
}

TEST(Paths, ProbesSentInsideTheWindowThatArriveAreALeak) {
  PathRecord leak = path(true, 100, 1);
  leak.received_in_window = 1;
  const Findings findings = assess_paths({leak});
  ASSERT_THAT(findings.invalid, SizeIs(1));
  EXPECT_THAT(findings.invalid[0], HasSubstr("1 of 100 probes"));
}

}  // namespace
}  // namespace zq
