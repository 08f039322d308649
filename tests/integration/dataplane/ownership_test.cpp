// Living with others: what stands ahead of the gate, what is not ours, what happens to ours, and
// that nothing stays behind.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <sys/syscall.h>

#include <fstream>

#include "agent/dataplane/traffic_control.h"
#include "tests/integration/dataplane/foreign.h"

namespace zq::test {
namespace {

constexpr auto kEgress = FlowDirection::kEgress;
constexpr auto kIngress = FlowDirection::kIngress;

std::string dump(const TwoNodes& nodes) {
  return nodes.a.run([&] { return value_of(dump_network(nodes.config().uplinks)); });
}
std::vector<std::string> violations(const Gate& gate) { return value_of(gate.violations()); }
bool journal_exists(const TwoNodes& nodes) {
  return std::ifstream(nodes.state.path() + "/gate.journal").good();
}

TEST(Ownership, DumpsBeforeAndAfterAreTheSame) {
  const TwoNodes nodes;
  nodes.a.tc("qdisc add dev up0 root handle 1: htb default 10");
  nodes.a.tc("class add dev up0 parent 1: classid 1:10 htb rate 1gbit");
  nodes.a.tc(
      "filter add dev up0 parent 1: protocol ip prio 5 u32 match ip dport 9 0xffff flowid 1:10");
  const std::string before = dump(nodes);
  for (const char* expected : {"link up0", "qdisc up0 htb", "class up0 htb", "u32 handle"}) {
    EXPECT_THAT(before, testing::HasSubstr(expected));
  }
  {
    Gate gate = nodes.attach();
    EXPECT_TRUE(journal_exists(nodes));
    EXPECT_THAT(dump(nodes), testing::HasSubstr("clsact"));
    ASSERT_TRUE(value_of(gate.renew_lease(30s)));
    check(gate.load(cut(1)));
    const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
    ASSERT_EQ(a.send(TwoNodes::kB4, 7000), 0);
    ASSERT_EQ(a.send("10.66.0.9", 7000), 0);
    check(gate.detach());
    EXPECT_EQ(dump(nodes), before);
    EXPECT_FALSE(journal_exists(nodes));
    check(gate.detach());
  }
  { const Gate gate = nodes.attach(); }
  EXPECT_EQ(dump(nodes), before) << "the destructor detaches, too";
  EXPECT_FALSE(journal_exists(nodes));
  EXPECT_THAT(nodes.a.run([] { return value_of(dump_everything()); }),
              testing::HasSubstr("link lo"));
}

TEST(Ownership, TheDumpSeesWhatIsLeftBehind) {
  const TwoNodes nodes;
  const std::string before = dump(nodes);
  nodes.a.tc("qdisc add dev up0 clsact");
  const std::string with_clsact = dump(nodes);
  EXPECT_NE(with_clsact, before);
  add_foreign_filter(nodes, kEgress, 9, "other");
  EXPECT_NE(dump(nodes), with_clsact);
  nodes.a.ip("link set up0 mtu 1400");
  EXPECT_THAT(dump(nodes), testing::HasSubstr("mtu 1400"));
}

TEST(Ownership, JoinsAForeignClsactAndLeavesItAlone) {
  const TwoNodes nodes;
  nodes.a.tc("qdisc add dev up0 clsact");
  add_foreign_filter(nodes, kEgress, 7, "their_egress");
  add_foreign_filter(nodes, kIngress, 2, "their_ingress");
  nodes.a.tc("filter add dev up0 egress protocol ip prio 9 u32 match ip dport 9 0xffff flowid 1:1");
  const std::string before = dump(nodes);
  Gate gate = nodes.attach();
  EXPECT_THAT(violations(gate), testing::IsEmpty());
  check(gate.detach());
  EXPECT_EQ(dump(nodes), before);
}

TEST(Ownership, KeepsClsactWhenOthersCameToUseIt) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  add_foreign_filter(nodes, kIngress, 7, "newcomer");
  EXPECT_THAT(violations(gate), testing::IsEmpty()) << "behind us it harms nobody";
  check(gate.detach());
  const std::string after = dump(nodes);
  EXPECT_THAT(after, testing::HasSubstr("clsact"));
  EXPECT_THAT(after, testing::HasSubstr("pref 7"));
  EXPECT_THAT(after, testing::Not(testing::HasSubstr("pref 1 ")));
}

TEST(Ownership, RefusesByNameWhatStandsAhead) {
  const TwoNodes nodes;
  nodes.a.tc("qdisc add dev up0 clsact");
  add_foreign_filter(nodes, kIngress, 1, "their_firewall");
  const std::string before = dump(nodes);
  const auto refused = nodes.try_attach(nodes.config());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_THAT(refused.error().message,
              testing::AllOf(testing::HasSubstr("up0 ingress: filter pref 1 bpf handle 0x1"),
                             testing::HasSubstr("'their_firewall'"),
                             testing::HasSubstr("priority number is above 1")));
  EXPECT_EQ(dump(nodes), before);
  EXPECT_FALSE(journal_exists(nodes));
  const auto ahead = nodes.a.run([&] { return value_of(filters_ahead(nodes.config().uplinks)); });
  EXPECT_THAT(ahead, testing::ElementsAre(testing::HasSubstr("their_firewall")));
}

TEST(Ownership, RefusesAnIngressQdiscInsteadOfClsact) {
  const TwoNodes nodes;
  nodes.a.tc("qdisc add dev up0 ingress");
  EXPECT_THAT(error_of(nodes.try_attach(nodes.config())),
              testing::HasSubstr("'ingress' qdisc where the gate needs clsact"));
}

TEST(Ownership, RefusesASecondGate) {
  const TwoNodes nodes;
  const Gate gate = nodes.attach();
  const TempDir other_state;
  const auto second = nodes.a.run([&] { return Gate::attach(nodes.config(), other_state.path()); });
  EXPECT_THAT(error_of(second), testing::HasSubstr("has a gate already"));
  EXPECT_THAT(violations(gate), testing::IsEmpty()) << "and leaves the first one alone";
}

TEST(Ownership, ANewcomerAtOurPriorityIsAViolation) {
  const TwoNodes nodes;
  const Gate gate = nodes.attach();
  EXPECT_THAT(violations(gate), testing::IsEmpty());
  add_foreign_filter(nodes, kEgress, kGatePriority, "intruder");
  EXPECT_THAT(violations(gate),
              testing::ElementsAre(testing::AllOf(testing::HasSubstr("up0 egress"),
                                                  testing::HasSubstr("'intruder'"),
                                                  testing::HasSubstr("ahead of the gate"))));
}

TEST(Ownership, RemovedFiltersAreViolations) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  nodes.a.tc("filter del dev up0 egress pref 1");
  EXPECT_THAT(violations(gate), testing::ElementsAre("up0 egress: the gate's filter is gone"));
  nodes.a.tc("qdisc del dev up0 clsact");
  EXPECT_THAT(violations(gate), testing::SizeIs(2));
  EXPECT_EQ(error_of(gate.detach()), "") << "what is gone need not be removed";
  EXPECT_FALSE(journal_exists(nodes));
}

TEST(Ownership, AReplacedProgramIsAViolation) {
  const TwoNodes nodes;
  const Gate gate = nodes.attach();
  nodes.a.run([&] {
    auto socket = value_of(NetlinkSocket::open());
    const Uplink uplink = nodes.config().uplinks.front();
    ASSERT_TRUE(value_of(remove_gate_filter(socket, uplink, kEgress)));
    const UniqueFd impostor = foreign_program(BPF_PROG_TYPE_SCHED_CLS, "impostor", -1);
    check(add_gate_filter(socket, uplink, kEgress, impostor.get()));
  });
  EXPECT_THAT(violations(gate),
              testing::ElementsAre("up0 egress: the gate's filter runs another program"));
}

TEST(Ownership, ADeviceThatGoesAwayIsAViolation) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  nodes.a.ip("link del up0");
  EXPECT_THAT(violations(gate), testing::ElementsAre("device up0 went away"));
  EXPECT_EQ(error_of(gate.detach()), "");
  EXPECT_FALSE(journal_exists(nodes));
}

TEST(Ownership, XdpAheadIsRefusedByName) {
  const TwoNodes nodes;
  const UniqueFd program = foreign_program(BPF_PROG_TYPE_XDP, "their_lb", XDP_PASS);
  nodes.a.run([&] {
    auto socket = value_of(NetlinkSocket::open());
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(::if_nametoindex("up0"));
    NetlinkMessage message(RTM_SETLINK, 0);
    message.header(header).nest(IFLA_XDP, [&](NetlinkMessage& xdp) {
      xdp.put(IFLA_XDP_FD, program.get()).put(IFLA_XDP_FLAGS, std::uint32_t{XDP_FLAGS_SKB_MODE});
    });
    const NetlinkAnswer answer = socket.request(message);
    if (!answer.ok()) throw std::runtime_error(answer.text);
  });
  const std::string message = error_of(nodes.try_attach(nodes.config()));
  EXPECT_THAT(message, testing::ContainsRegex("up0: XDP program [0-9]+ 'their_lb'"));
}

// tcx came with Linux 6.6; on older kernels there is nothing to refuse, which is checked instead.
TEST(Ownership, TcxAheadIsRefusedByName) {
  constexpr int kTcxEgress = 47;
  const TwoNodes nodes;
  const UniqueFd program = foreign_program(BPF_PROG_TYPE_SCHED_CLS, "their_tcx", 0);
  const unsigned index = nodes.a.device_index("up0");
  const int rc = nodes.a.run([&] {
    bpf_attr attr{};
    attr.target_fd = index;
    attr.attach_bpf_fd = static_cast<std::uint32_t>(program.get());
    attr.attach_type = kTcxEgress;
    return ::syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof attr) == 0 ? 0 : errno;
  });
  const auto result = nodes.try_attach(nodes.config());
  if (rc == EINVAL) {
    EXPECT_EQ(error_of(result), "");
    return;
  }
  ASSERT_EQ(rc, 0) << strerror(rc);
  EXPECT_THAT(error_of(result),
              testing::ContainsRegex("up0 egress: tcx program [0-9]+ 'their_tcx'"));
  EXPECT_THAT(dump(nodes), testing::HasSubstr("hook up0 egress tcx program"));
}

TEST(Ownership, ADamagedJournalIsReported) {
  const TwoNodes nodes;
  std::ofstream(nodes.state.path() + "/gate.journal") << "{\"version\": 1";
  const auto cleaned = nodes.a.run([&] { return clean_leftovers(nodes.state.path()); });
  EXPECT_THAT(error_of(cleaned), testing::AllOf(testing::HasSubstr("gate.journal is damaged"),
                                                testing::HasSubstr("zonequake_gate")));
}

TEST(Ownership, AJournalOfAnotherNamespaceIsNotActedUpon) {
  const TwoNodes nodes;
  const Gate gate = nodes.attach();
  const auto in_b = nodes.b.run([&] { return clean_leftovers(nodes.state.path()); });
  EXPECT_THAT(error_of(in_b),
              testing::HasSubstr("another network namespace (/run/netns/" + nodes.a.name() + ")"));
  EXPECT_THAT(violations(gate), testing::IsEmpty());
}

TEST(Ownership, NothingIsChangedWithoutAJournal) {
  const TwoNodes nodes;
  const std::string before = dump(nodes);
  const auto attached =
      nodes.a.run([&] { return Gate::attach(nodes.config(), nodes.state.path() + "/missing"); });
  EXPECT_THAT(error_of(attached), testing::HasSubstr("state directory"));
  EXPECT_EQ(dump(nodes), before);
}

TEST(Ownership, ThisKernelLacksNothing) { EXPECT_THAT(missing_capabilities(), testing::IsEmpty()); }

}  // namespace
}  // namespace zq::test
