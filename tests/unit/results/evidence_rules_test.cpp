// The rules by which a report, and the controller, read the evidence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/dump_difference.h"
#include "results/fault_start.h"
#include "results/path_passes.h"

namespace zq {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kT = 1'000'000 * kMs;

// Times relative to the window's start; 0 = never.
FaultEvidenceRecord window(const std::string& node, const std::string& direction, std::int64_t from,
                           std::int64_t last_passed, std::int64_t first_dropped) {
  FaultEvidenceRecord record;
  record.node = node;
  record.direction = direction;
  record.from_mono_ns = from;
  if (last_passed != 0) record.last_passed_ns = from + last_passed;
  if (first_dropped != 0) record.first_dropped_ns = from + first_dropped;
  return record;
}

TEST(FaultStart, ANodeIsTheNearestOfItsDirectionsToItsOwnWindow) {
  const FaultStart start =
      fault_start(mono_from_ns(kT), {window("a1", "egress", kT, -4 * kMs, 3 * kMs),
                                     window("a1", "ingress", kT, -1 * kMs, 5 * kMs),
                                     // Its clock is known to 20 us only.
                                     window("b1", "egress", kT + 20'000, -2 * kMs, 4 * kMs)});
  ASSERT_THAT(start.nodes, SizeIs(2));
  EXPECT_EQ(start.nodes[0].last_passed, Nanos{-1 * kMs});
  EXPECT_EQ(start.nodes[0].first_dropped, Nanos{3 * kMs});
  EXPECT_EQ(start.nodes[1].first_dropped, Nanos{4 * kMs});
  EXPECT_EQ(start.spread, Nanos{kMs});
  EXPECT_EQ(start.largest_gap, Nanos{6 * kMs});
  EXPECT_EQ(start.to_string(),
            "first drops spread over 1ms on 2 nodes; largest gap between packets around T 6ms");
}

TEST(FaultStart, LaterWindowsDoNotCount) {
  const auto later = window("a1", "egress", kT + 5000 * kMs, -1 * kMs, 70 * kMs);
  EXPECT_THAT(fault_start(mono_from_ns(kT), {later}).nodes, IsEmpty());
  const FaultStart start =
      fault_start(mono_from_ns(kT), {later, window("a1", "egress", kT, 0, 2 * kMs)});
  EXPECT_EQ(start.spread, Nanos{0});
  EXPECT_FALSE(start.largest_gap);
}

TEST(FaultStart, WithoutADropThereIsNoSpread) {
  const FaultStart start = fault_start(mono_from_ns(kT), {window("a1", "egress", kT, -1 * kMs, 0)});
  EXPECT_THAT(start.nodes, SizeIs(1));
  EXPECT_FALSE(start.spread);
  EXPECT_EQ(start.to_string(), "no packet was dropped at T");
}

PathRecord counted(std::uint64_t sent, std::uint64_t received) {
  PathRecord path;
  path.sent = sent;
  path.received = received;
  return path;
}

TEST(PathPasses, NinetyPercentOrAllButTwo) {
  EXPECT_TRUE(path_passes(counted(100, 90)));
  EXPECT_FALSE(path_passes(counted(100, 89)));
  EXPECT_TRUE(path_passes(counted(5, 3)));
  EXPECT_FALSE(path_passes(counted(5, 2)));
  EXPECT_FALSE(path_passes(counted(2, 0)));
  EXPECT_FALSE(path_passes(counted(0, 0)));
}

TEST(DumpDifference, CountsLinesAndIgnoresTheirOrder) {
  EXPECT_THAT(dump_difference("a\nb\n", "b\na"), IsEmpty());
  EXPECT_THAT(dump_difference("", ""), IsEmpty());
  EXPECT_THAT(dump_difference("b\na\nsame\n", "same\nd\nc\n"),
              ElementsAre("- a", "- b", "+ c", "+ d"));
  // The same filter twice is one too many.
  EXPECT_THAT(dump_difference("filter\n", "filter\nfilter\n"), ElementsAre("+ filter"));
  EXPECT_THAT(dump_difference("filter\nfilter", "filter"), ElementsAre("- filter"));
}

}  // namespace
}  // namespace zq
