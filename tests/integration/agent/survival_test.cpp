// Whatever goes wrong, traffic flows again, nothing is left, and the run is told.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "agent/dataplane/gate.h"
#include "tests/integration/agent/agent_fixture.h"

namespace zq::test {
namespace {

constexpr ArmSettings kShort{.rate = 200, .lease = 600ms, .orphan = 900ms};

std::string network(Node& node, const std::string& peer) {
  return node.describe({peer}).reply.dump();
}

TEST(Survival, AgentKilledInsideTheFault) {
  Fleet fleet(2);
  fleet.arm({.lease = 600ms, .orphan = 30s});
  fleet.load_cut(mono_now(), mono_now() + 60s);
  const Flow flow(fleet[0], fleet[1]);
  ASSERT_TRUE(flow.is_cut(200ms));

  fleet.stop_heart(0);
  fleet[0].process().signal(SIGKILL);
  const MonoTime killed = mono_now();
  (void)fleet[0].process().wait();
  ASSERT_EQ(fleet[1].heal(fleet.run()).code(), kOk);  // what a controller does when it notices
  EXPECT_TRUE(flow.to_b(2s));
  EXPECT_TRUE(flow.to_a(2s));
  const Nanos took = mono_now() - killed;
  fmt::print("traffic flows {} after SIGKILL (lease 600ms)\n", format_duration(took));
  EXPECT_LT(took, 600ms + 500ms);

  fleet[0].start();
  EXPECT_NE(fleet[0].log().find("left by an earlier life, removed"), std::string::npos)
      << fleet[0].log();
  const auto disarmed = fleet[0].disarm(fleet.run());
  ASSERT_EQ(disarmed.code(), kOk) << disarmed.status.error_message();
  EXPECT_EQ(disarmed.reply.dump(), fleet.dump_before(0));
  EXPECT_EQ(network(fleet[0], fleet[1].v4()), fleet.dump_before(0));
  const Heart late(fleet[0].stub(), fleet.run());
  ASSERT_TRUE(wait_until([&] { return late.ended().has_value(); }));
  EXPECT_EQ(late.ended()->error_code(), kPrecondition);
  EXPECT_NE(late.ended()->error_message().find("started again"), std::string::npos)
      << late.ended()->error_message();
}

TEST(Survival, AgentStoppedLongerThanItsLease) {
  Fleet fleet(2);
  fleet.arm({.lease = 600ms, .orphan = 10s});
  fleet.load_cut(mono_now(), mono_now() + 60s);
  const Flow flow(fleet[0], fleet[1]);
  ASSERT_TRUE(flow.is_cut(200ms));
  ASSERT_EQ(fleet[1].heal(fleet.run()).code(), kOk);
  ASSERT_TRUE(flow.is_cut(100ms)) << "node 0 alone must hold the cut";

  fleet[0].process().signal(SIGSTOP);
  EXPECT_TRUE(flow.to_b(600ms + 500ms));
  fleet[0].process().signal(SIGCONT);
  ASSERT_TRUE(wait_until([&] { return fleet.heart(0).newest().violations_size() > 0; }));
  EXPECT_NE(fleet.heart(0).violations().find("lease lapsed"), std::string::npos)
      << fleet.heart(0).violations();
  // Beats go on arriving; the lease never comes back, and no programme is taken any more.
  const MonoTime end = mono_now() + 1500ms;
  while (mono_now() < end) {
    ASSERT_TRUE(flow.to_b(100ms));
    ASSERT_FALSE(fleet.heart(0).newest().lease_held());
  }
  const auto again = fleet[0].load(fleet.cut_request({1}, mono_now(), mono_now() + 5s));
  EXPECT_EQ(again.code(), kPrecondition);
  EXPECT_NE(again.status.error_message().find("lease lapsed"), std::string::npos);
  EXPECT_TRUE(fleet[0].evidence(fleet.run()).reply.lease_lapsed());
  ASSERT_EQ(fleet[0].disarm(fleet.run()).reply.dump(), fleet.dump_before(0));
}

TEST(Survival, ControllerGone) {
  Fleet fleet(2);
  fleet.arm(kShort);
  fleet.load_cut(mono_now(), mono_now() + 60s);
  const Flow flow(fleet[0], fleet[1]);
  ASSERT_TRUE(flow.is_cut(200ms));
  const MonoTime gone = mono_now();
  for (const std::size_t i : {0U, 1U}) fleet.stop_heart(i);
  EXPECT_TRUE(flow.to_b(5s));
  const Nanos took = mono_now() - gone;
  fmt::print("traffic flows {} after the last heartbeat (orphan 900ms, lease 600ms)\n",
             format_duration(took));
  EXPECT_GT(took, 700ms) << "a short silence must not end a run";
  EXPECT_LT(took, 900ms + 600ms + 500ms);
  for (const std::size_t i : {0U, 1U}) {
    ASSERT_TRUE(wait_until([&] { return fleet[i].describe().reply.holder().empty(); }));
    EXPECT_EQ(network(fleet[i], fleet[1 - i].v4()), fleet.dump_before(i));
    const Heart late(fleet[i].stub(), fleet.run());
    ASSERT_TRUE(wait_until([&] { return late.ended().has_value(); }));
    EXPECT_EQ(late.ended()->error_code(), kPrecondition);
    EXPECT_NE(late.ended()->error_message().find("no heartbeat"), std::string::npos);
    // The same run does not come back to life; a new one may begin.
    EXPECT_EQ(fleet[i].arm(fleet.arm_request(fleet[i], kShort)).code(), kPrecondition);
    auto next = fleet.arm_request(fleet[i], kShort);
    next.mutable_run()->set_run("next");
    EXPECT_EQ(fleet[i].arm(next).code(), kOk);
    EXPECT_EQ(fleet[i].disarm(next.run()).reply.dump(), fleet.dump_before(i));
  }
}

// As after a detach that failed while the agent lived on.
TEST(Survival, LeftoversOfAnEarlierRunDoNotStrandTheNode) {
  Fleet fleet(2);
  fleet.arm();
  fleet.stop_heart(0);
  fleet[0].process().signal(SIGKILL);
  (void)fleet[0].process().wait();
  const std::string journal = fleet[0].state_dir() + "/gate.journal";
  std::filesystem::rename(journal, journal + ".hidden");
  fleet[0].start();
  EXPECT_NE(network(fleet[0], fleet[1].v4()), fleet.dump_before(0));
  std::filesystem::rename(journal + ".hidden", journal);
  auto next = fleet.arm_request(fleet[0]);
  next.mutable_run()->set_run("next");
  const auto armed = fleet[0].arm(next);
  ASSERT_EQ(armed.code(), kOk) << armed.status.error_message();
  EXPECT_EQ(armed.reply.dump(), fleet.dump_before(0)) << "cleaned before it looks";
  EXPECT_EQ(fleet[0].disarm(next.run()).reply.dump(), fleet.dump_before(0));
}

TEST(Survival, AgentToldToEndInsideTheFault) {
  Fleet fleet(2);
  fleet.arm();
  fleet.load_cut(mono_now(), mono_now() + 60s);
  const Flow flow(fleet[0], fleet[1]);
  ASSERT_TRUE(flow.is_cut(200ms));
  ASSERT_EQ(fleet[1].heal(fleet.run()).code(), kOk);
  const MonoTime begin = mono_now();
  fleet[0].process().signal(SIGTERM);
  EXPECT_EQ(fleet[0].process().wait(), 0) << fleet[0].log();
  EXPECT_LT(mono_now() - begin, 3s);
  EXPECT_TRUE(flow.to_b(50ms)) << "healed before it ended, not by the lease";
  EXPECT_FALSE(std::filesystem::exists(fleet[0].socket()));
  fleet[0].start();
  EXPECT_EQ(fleet[0].log().find("left by an earlier life"), std::string::npos) << fleet[0].log();
  EXPECT_EQ(network(fleet[0], fleet[1].v4()), fleet.dump_before(0));
}

// A direct-action filter of somebody else's that lets everything through, ahead of the gate.
void add_foreign_filter(const Node& node, bool only_for_a_moment = false) {
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
                           {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  UniqueFd program(::bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign", "GPL", code, 2, nullptr));
  if (!program) throw std::runtime_error("loading a program: " + std::string(strerror(errno)));
  node.netns().run([&] {
    bpf_tc_hook hook{};
    hook.sz = sizeof hook;
    hook.ifindex = static_cast<int>(::if_nametoindex("up0"));
    hook.attach_point = BPF_TC_EGRESS;
    const int made = ::bpf_tc_hook_create(&hook);
    bpf_tc_opts options{};
    options.sz = sizeof options;
    options.prog_fd = program.get();
    options.priority = 1;
    options.handle = 1;
    if ((made != 0 && made != -EEXIST) || ::bpf_tc_attach(&hook, &options) != 0) {
      throw std::runtime_error("attaching a foreign filter: " + std::string(strerror(errno)));
    }
    if (!only_for_a_moment) return;
    options.prog_fd = 0;
    options.prog_id = options.flags = 0;
    if (::bpf_tc_detach(&hook, &options) != 0) {
      throw std::runtime_error("detaching a foreign filter: " + std::string(strerror(errno)));
    }
  });
}

TEST(Survival, ForeignFilterAheadIsRefusedByName) {
  Fleet fleet(2);
  add_foreign_filter(fleet[0]);
  const auto described = fleet[0].describe({fleet[1].v4()}).reply;
  ASSERT_EQ(described.ahead_size(), 1);
  EXPECT_NE(described.ahead(0).find("foreign"), std::string::npos) << described.ahead(0);
  const auto armed = fleet[0].arm(fleet.arm_request(fleet[0]));
  EXPECT_EQ(armed.code(), kPrecondition);
  EXPECT_NE(armed.status.error_message().find("foreign"), std::string::npos);
  EXPECT_NE(armed.status.error_message().find("up0"), std::string::npos);
  EXPECT_EQ(fleet[0].describe({fleet[1].v4()}).reply.dump(), described.dump());
  EXPECT_EQ(fleet[0].describe().reply.holder(), "");
}

TEST(Survival, ForeignFilterThatAppearsEndsTheFault) {
  Fleet fleet(2);
  fleet.arm();
  fleet.load_cut(mono_now(), mono_now() + 60s);
  const Flow flow(fleet[0], fleet[1]);
  ASSERT_TRUE(flow.is_cut(200ms));
  ASSERT_EQ(fleet[1].heal(fleet.run()).code(), kOk);
  ASSERT_TRUE(flow.is_cut(100ms)) << "node 0 drops at its ingress";
  add_foreign_filter(fleet[0]);  // at the egress: the ingress gate still works
  ASSERT_TRUE(wait_until([&] { return fleet.heart(0).newest().violations_size() > 0; }));
  EXPECT_NE(fleet.heart(0).violations().find("foreign"), std::string::npos)
      << fleet.heart(0).violations();
  EXPECT_TRUE(flow.to_a(100ms)) << "healed at once";
  EXPECT_EQ(fleet.heart(1).violations(), "");
  const auto disarmed = fleet[0].disarm(fleet.run());
  ASSERT_EQ(disarmed.code(), kOk);
  bool listed = false;
  for (const auto& change : disarmed.reply.other_changes()) {
    listed = listed || change.starts_with("+ filter up0");
  }
  EXPECT_TRUE(listed) << "what others left is told";
}

TEST(Survival, ForeignFilterForAMomentIsAViolation) {
  Fleet fleet(2);
  fleet.arm();
  fleet.load_cut(mono_now(), mono_now() + 60s);
  add_foreign_filter(fleet[0], true);
  EXPECT_TRUE(wait_until([&] {
    return fleet.heart(0).violations().find("removed again") != std::string::npos;
  })) << fleet.heart(0).violations();
  ASSERT_EQ(fleet[1].heal(fleet.run()).code(), kOk);
  EXPECT_TRUE(Flow(fleet[0], fleet[1]).to_b(1s)) << "healed";
  const auto disarmed = fleet[0].disarm(fleet.run());
  ASSERT_EQ(disarmed.code(), kOk) << disarmed.status.error_message();
  EXPECT_EQ(disarmed.reply.dump(), fleet.dump_before(0));
}

TEST(Survival, OurFilterRemovedEndsTheFault) {
  Fleet fleet(2);
  fleet.arm();
  fleet.load_cut(mono_now(), mono_now() + 60s);
  fleet[0].netns().tc("qdisc del dev up0 clsact");
  ASSERT_TRUE(wait_until([&] { return fleet.heart(0).newest().violations_size() > 0; }));
  EXPECT_NE(fleet.heart(0).violations().find("up0"), std::string::npos);
  const std::string first = fleet.heart(0).newest().violations(0);
  ASSERT_EQ(fleet[1].heal(fleet.run()).code(), kOk);
  EXPECT_TRUE(Flow(fleet[0], fleet[1]).to_b(1s));
  EXPECT_EQ(fleet.heart(0).newest().violations(0), first) << "violations never shrink";
  const auto disarmed = fleet[0].disarm(fleet.run());
  ASSERT_EQ(disarmed.code(), kOk) << disarmed.status.error_message();
  EXPECT_EQ(disarmed.reply.dump(), fleet.dump_before(0));
}

}  // namespace
}  // namespace zq::test
