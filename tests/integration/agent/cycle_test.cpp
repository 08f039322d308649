// A run on nodes as it should be: armed, cut, healed, disarmed, nothing left.
#include "tests/integration/agent/agent_fixture.h"

namespace zq::test {
namespace {

TEST(Cycle, CutsAndHealsAndLeavesNothing) {
  Fleet fleet(2);
  fleet.arm();
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_TRUE(path_opens(fleet[i], fleet[1 - i], fleet.run(), 3s)) << fleet[i].log();
    ASSERT_TRUE(wait_until([&] { return fleet.heart(i).newest().lease_held(); }));
  }
  const MonoTime from = mono_now() + 300ms;
  const MonoTime until = from + 1500ms;
  fleet.load_cut(from, until);

  std::this_thread::sleep_until(from + 100ms);
  std::vector<zonequake::PathsReply> begin;
  for (const std::size_t i : {0U, 1U}) begin.push_back(fleet[i].paths(fleet.run()).reply);
  std::this_thread::sleep_until(until - 100ms);
  for (const std::size_t i : {0U, 1U}) {
    SCOPED_TRACE(fleet[i].name());
    const auto end = fleet[i].paths(fleet.run()).reply;
    EXPECT_EQ(received_from(end, fleet[1 - i].name()),
              received_from(begin[i], fleet[1 - i].name()));
    ASSERT_EQ(end.sent_size(), 2);
    for (int path = 0; path < end.sent_size(); ++path) {
      EXPECT_GT(end.sent(path).sent(), begin[i].sent(path).sent() + 100);
      EXPECT_GT(end.sent(path).sent_in_window(), 100U);
      EXPECT_EQ(end.sent(path).send_errors(), 0U) << "the sender must not be told";
    }
  }
  std::this_thread::sleep_until(until);
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_TRUE(path_opens(fleet[i], fleet[1 - i], fleet.run(), 2s)) << "after the window";
  }
  for (const std::size_t i : {0U, 1U}) {
    SCOPED_TRACE(fleet[i].name());
    const auto evidence = fleet[i].evidence(fleet.run()).reply;
    ASSERT_EQ(evidence.windows_size(), 2);
    for (const auto& window : evidence.windows()) {
      // What the other end holds back at its egress never gets to this one's ingress.
      if (window.direction() == zonequake::EGRESS) {
        EXPECT_GT(window.dropped_packets(), 200U);
        EXPECT_GE(window.first_dropped_mono_ns(), to_ns(from));
      }
      EXPECT_EQ(window.passed_packets(), 0U);
      EXPECT_LT(window.last_passed_mono_ns(), to_ns(from));
      EXPECT_GE(window.first_passed_mono_ns(), to_ns(until));
    }
    EXPECT_FALSE(evidence.lease_lapsed());
    const auto paths = fleet[i].paths(fleet.run()).reply;
    EXPECT_EQ(leaked(paths), 0U);
    ASSERT_TRUE(wait_until([&] { return fleet[i].paths(fleet.run()).reply.sent(0).echoed() > 0; }));

    const auto healed = fleet[i].heal(fleet.run());
    ASSERT_EQ(healed.code(), kOk) << healed.status.error_message();
    EXPECT_EQ(fleet[i].heal(fleet.run()).reply.healed_mono_ns(), healed.reply.healed_mono_ns());
    EXPECT_EQ(fleet[i].evidence(fleet.run()).reply.windows_size(), 2) << "kept over the heal";
    EXPECT_EQ(fleet[i].load(fleet.cut_request({1}, mono_now(), mono_now() + 1s)).code(),
              kPrecondition);
    EXPECT_EQ(fleet.heart(i).violations(), "") << "a heal is no violation";
  }
  for (const std::size_t i : {0U, 1U}) {
    const auto first = fleet[i].disarm(fleet.run());
    ASSERT_EQ(first.code(), kOk) << first.status.error_message();
    EXPECT_EQ(first.reply.dump(), fleet.dump_before(i));
    EXPECT_EQ(first.reply.other_changes_size(), 0) << first.reply.other_changes(0);
    const auto second = fleet[i].disarm(fleet.run());
    ASSERT_EQ(second.code(), kOk) << second.status.error_message();
    EXPECT_EQ(second.reply.dump(), first.reply.dump());
    EXPECT_EQ(fleet[i].describe().reply.holder(), "");
  }
}

// DESIGN: a fault armed ahead starts on every node at the same instant of the kernel's clock.
TEST(Cycle, OpensTheWindowAtOneInstantEverywhere) {
  Fleet fleet(2);
  fleet.arm({.rate = 3000});  // two families: 6,000 packets a second over the border
  for (const std::size_t i : {0U, 1U}) {
    ASSERT_TRUE(path_opens(fleet[i], fleet[1 - i], fleet.run(), 3s));
  }
  // Each side cuts one direction only, so that each hook has packets to decide about.
  for (const auto direction : {zonequake::EGRESS, zonequake::INGRESS}) {
    const MonoTime T = mono_now() + 500ms;
    const auto begin = fleet[0].paths(fleet.run()).reply;
    for (const std::uint32_t i : {0U, 1U}) {
      zonequake::LoadRequest request = fleet.cut_request({1 - i}, T, T + 400ms);
      auto& rules = *request.mutable_rules();
      rules.DeleteSubrange(direction == zonequake::EGRESS ? 1 : 0, 1);
      ASSERT_EQ(fleet[i].load(request).code(), kOk);
    }
    std::this_thread::sleep_until(T);
    const auto end = fleet[0].paths(fleet.run()).reply;
    double rate = 0;
    for (int path = 0; path < end.sent_size(); ++path) {
      rate += static_cast<double>(end.sent(path).sent() - begin.sent(path).sent()) /
              (static_cast<double>(end.at_mono_ns() - begin.at_mono_ns()) / 1e9);
    }
    EXPECT_GE(rate, 5000);
    std::this_thread::sleep_until(T + 450ms);
    std::vector<std::int64_t> first;
    std::int64_t largest_gap = 0;
    for (const std::uint32_t i : {0U, 1U}) {
      const auto evidence = fleet[i].evidence(fleet.run()).reply;
      ASSERT_EQ(evidence.windows_size(), 1);
      const auto& window = evidence.windows(0);
      ASSERT_GT(window.first_dropped_mono_ns(), 0);
      EXPECT_LT(window.last_passed_mono_ns(), to_ns(T));
      EXPECT_LE(to_ns(T), window.first_dropped_mono_ns());
      EXPECT_EQ(window.passed_packets(), 0U);
      const std::int64_t gap = window.first_dropped_mono_ns() - window.last_passed_mono_ns();
      fmt::print("{} {}: last passed T-{} us, first dropped T+{} us, gap {} us, {:.0f} packets/s\n",
                 fleet[i].name(), zonequake::FlowDirection_Name(direction),
                 (to_ns(T) - window.last_passed_mono_ns()) / 1000,
                 (window.first_dropped_mono_ns() - to_ns(T)) / 1000, gap / 1000, rate);
      first.push_back(window.first_dropped_mono_ns());
      largest_gap = std::max(largest_gap, gap);
    }
    const std::int64_t spread = std::abs(first[0] - first[1]);
    fmt::print("spread {} us, largest gap {} us\n", spread / 1000, largest_gap / 1000);
    EXPECT_LE(spread, largest_gap);
    for (const std::size_t i : {0U, 1U}) {
      EXPECT_EQ(leaked(fleet[i].paths(fleet.run()).reply), 0U);
    }
  }
}

TEST(Cycle, CutsOnePairWhileAThirdNodeSeesBoth) {
  Fleet fleet(3);
  fleet.arm();
  fleet.load_cut(mono_now(), mono_now() + 60s);
  EXPECT_TRUE(Flow(fleet[0], fleet[1]).is_cut(400ms));
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_TRUE(path_opens(fleet[i], fleet[2], fleet.run(), 2s));
    EXPECT_TRUE(path_opens(fleet[2], fleet[i], fleet.run(), 2s));
  }
  for (const std::size_t i : {0U, 1U}) ASSERT_EQ(fleet[i].heal(fleet.run()).code(), kOk);
  EXPECT_TRUE(path_opens(fleet[0], fleet[1], fleet.run(), 2s));
  EXPECT_TRUE(path_opens(fleet[1], fleet[0], fleet.run(), 2s));
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_EQ(leaked(fleet[i].paths(fleet.run()).reply), 0U) << "a heal inside the window is clean";
  }
}

}  // namespace
}  // namespace zq::test
