// The lease: faults end without anybody's help, and never come back.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <iostream>

#include "tests/integration/dataplane/two_nodes.h"

namespace zq::test {
namespace {

constexpr auto kEgress = FlowDirection::kEgress;

bool passes(const UdpSocket& a, const UdpSocket& b, std::chrono::milliseconds wait = 20ms) {
  EXPECT_EQ(a.send(TwoNodes::kB4, 7000), 0);
  return b.receive(wait);
}

TEST(Lease, LapsesByItselfAndIsNeverRevived) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  ASSERT_TRUE(value_of(gate.renew_lease(600ms)));
  check(gate.load(cut(1)));
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(value_of(gate.renew_lease(600ms)));
    EXPECT_FALSE(passes(a, b));
  }
  const Gate::Lease held = value_of(gate.lease());
  EXPECT_FALSE(held.lapsed);
  ASSERT_TRUE(wait_until([&] { return passes(a, b); }, 5s)) << "nobody renews: it must end";
  EXPECT_GE(mono_now(), held.until);
  EXPECT_TRUE(value_of(gate.lease()).lapsed);
  EXPECT_FALSE(value_of(gate.renew_lease(10s)));
  EXPECT_TRUE(passes(a, b, 1000ms));
  check(gate.load(cut(1)));
  EXPECT_TRUE(passes(a, b, 1000ms)) << "not even for a new programme";
  EXPECT_FALSE(value_of(gate.renew_lease(10s)));
  const WindowEvidence proof = evidence(gate, kEgress, 1);
  EXPECT_GE(proof.passed_packets, 1U) << "and the evidence says that packets passed";
  EXPECT_GE(proof.first_passed_ns, to_ns(held.until));
}

TEST(Lease, ALapseThatNoPacketSawIsNotRevivedEither) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(10ms)));
  ASSERT_TRUE(wait_until([&] { return value_of(gate.lease()).lapsed; }));
  EXPECT_FALSE(value_of(gate.renew_lease(10s)));
}

TEST(Lease, EndsAtOnceAndForGood) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  check(gate.load(cut(1)));
  EXPECT_FALSE(passes(a, b));
  check(gate.end_lease());
  EXPECT_TRUE(passes(a, b, 1000ms));
  EXPECT_FALSE(value_of(gate.renew_lease(60s)));
  const Gate::Lease lease = value_of(gate.lease());
  EXPECT_TRUE(lease.lapsed);
  EXPECT_LE(lease.until, mono_now());
}

TEST(Lease, ALengthOfNothingIsRefused) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  EXPECT_NE(error_of(gate.renew_lease(0ns)), "");
  EXPECT_NE(error_of(gate.renew_lease(-1s)), "");
  EXPECT_TRUE(value_of(gate.renew_lease(1s))) << "and changes nothing";
}

// A child process that holds a gate with a cut, renewing its lease every 50 ms until a renewal is
// refused; then it exits with 7. It goes when the test goes.
class RenewingChild {
 public:
  static constexpr auto kLength = 800ms;
  static constexpr int kRefused = 7;

  explicit RenewingChild(const TwoNodes& nodes) : pid_(::fork()) {
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::_exit(live(nodes));
    }
  }
  RenewingChild(const RenewingChild&) = delete;
  RenewingChild& operator=(const RenewingChild&) = delete;
  ~RenewingChild() {
    if (pid_ > 0) {
      signal(SIGKILL);
      wait();
    }
  }
  void signal(int number) const { ::kill(pid_, number); }
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  static int live(const TwoNodes& nodes) {
    auto gate = nodes.try_attach(nodes.config());
    if (!gate || !gate->renew_lease(kLength).value_or(false) || !gate->load(cut(1))) return 1;
    for (;;) {
      auto renewed = gate->renew_lease(kLength);
      if (!renewed) return 2;
      if (!*renewed) return kRefused;
      ::usleep(50000);
    }
  }

  pid_t pid_;
};

TEST(Lease, AStoppedProcessHealsAndDoesNotComeBack) {
  const TwoNodes nodes;
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  RenewingChild child(nodes);
  ASSERT_TRUE(wait_until([&] { return !passes(a, b); }, 30s)) << "the cut never came";
  EXPECT_FALSE(passes(a, b, 2 * RenewingChild::kLength)) << "it must hold while renewed";
  child.signal(SIGSTOP);
  const MonoTime stopped = mono_now();
  ASSERT_TRUE(wait_until([&] { return passes(a, b); }, 5s)) << "a stopped process must heal";
  EXPECT_LT(mono_now() - stopped, RenewingChild::kLength + 1500ms);
  EXPECT_TRUE(passes(a, b, 1000ms));
  child.signal(SIGCONT);
  EXPECT_EQ(child.wait(), RenewingChild::kRefused) << "the renewal after waking must be refused";
  EXPECT_TRUE(wait_until([&] { return passes(a, b); }));
}

TEST(Lease, AKilledProcessHealsAndTheNextLifeCleansUp) {
  const TwoNodes nodes;
  const std::vector<Uplink> uplinks = nodes.config().uplinks;
  const auto dump = [&] { return nodes.a.run([&] { return value_of(dump_network(uplinks)); }); };
  const std::string before = dump();
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  {
    RenewingChild child(nodes);
    ASSERT_TRUE(wait_until([&] { return !passes(a, b); }, 30s)) << "the cut never came";
    child.signal(SIGKILL);
    child.wait();
  }
  const MonoTime killed = mono_now();
  ASSERT_TRUE(wait_until([&] { return passes(a, b); }, 5s));
  EXPECT_LT(mono_now() - killed, RenewingChild::kLength + 1500ms);
  EXPECT_NE(dump(), before) << "the filters are still there";
  EXPECT_THAT(error_of(nodes.try_attach(nodes.config())), testing::HasSubstr("journal"));

  const auto removed = nodes.a.run([&] { return value_of(clean_leftovers(nodes.state.path())); });
  EXPECT_THAT(removed, testing::Contains("up0 egress: the gate's filter"));
  EXPECT_THAT(removed, testing::Contains("up0 ingress: the gate's filter"));
  EXPECT_THAT(removed, testing::Contains("up0: clsact"));
  EXPECT_EQ(dump(), before);
  EXPECT_TRUE(nodes.a.run([&] { return value_of(clean_leftovers(nodes.state.path())); }).empty());
  EXPECT_EQ(error_of(nodes.try_attach(nodes.config())), "");
}

}  // namespace
}  // namespace zq::test
