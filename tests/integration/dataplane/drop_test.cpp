// What is dropped, what passes, and what the two ends see of it.
#include <fcntl.h>
#include <poll.h>

#include "tests/integration/dataplane/two_nodes.h"

namespace zq::test {
namespace {

constexpr auto kEgress = FlowDirection::kEgress;
constexpr auto kIngress = FlowDirection::kIngress;

struct Family {
  const char* name;
  const char* a;
  const char* b;
};
constexpr Family kFamilies[] = {{"v4", TwoNodes::kA4, TwoNodes::kB4},
                                {"v6", TwoNodes::kA6, TwoNodes::kB6}};

// A pair of sockets, one on each node.
struct Sockets {
  UdpSocket a, b;
  const Family& family;
  Sockets(const TwoNodes& nodes, const Family& of, std::uint16_t port = 7000)
      : a(nodes.a, of.a, port), b(nodes.b, of.b, port), family(of), port_(port) {}
  [[nodiscard]] int to_b() const { return a.send(family.b, port_); }
  [[nodiscard]] int to_a() const { return b.send(family.a, port_); }

 private:
  std::uint16_t port_;
};

TEST(Drop, CutsBothDirectionsOfBothFamiliesSilently) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  for (const Family& family : kFamilies) {
    SCOPED_TRACE(family.name);
    const Sockets sockets(nodes, family);
    ASSERT_EQ(sockets.to_b(), 0);
    ASSERT_TRUE(sockets.b.receive()) << "an empty programme must let everything through";
    ASSERT_EQ(sockets.to_a(), 0);
    ASSERT_TRUE(sockets.a.receive());
  }
  ASSERT_TRUE(value_of(gate.renew_lease(30s)));
  check(gate.load(cut(1)));
  std::uint64_t sent = 0;
  for (const Family& family : kFamilies) {
    SCOPED_TRACE(family.name);
    const Sockets sockets(nodes, family);
    for (int i = 0; i < 20; ++i, ++sent) {
      EXPECT_EQ(sockets.to_b(), 0) << "the sender must not be told";
      EXPECT_EQ(sockets.to_a(), 0);
    }
    EXPECT_FALSE(sockets.b.receive(50ms));
    EXPECT_FALSE(sockets.a.receive(50ms));
  }
  for (const FlowDirection direction : {kEgress, kIngress}) {
    EXPECT_GE(counter(gate, direction, 1).dropped_packets, sent);
    const WindowEvidence proof = evidence(gate, direction, 1);
    EXPECT_GE(proof.dropped_packets, sent);
    EXPECT_GT(proof.dropped_bytes, proof.dropped_packets * 20);
    EXPECT_EQ(proof.passed_packets, 0U);
    EXPECT_GE(proof.first_dropped_ns, to_ns(proof.window.from));
    EXPECT_GE(proof.last_dropped_ns, proof.first_dropped_ns);
    EXPECT_EQ(proof.first_passed_ns, 0);
  }
  check(gate.load({}));
  for (const Family& family : kFamilies) {
    SCOPED_TRACE(family.name);
    const Sockets sockets(nodes, family);
    ASSERT_EQ(sockets.to_b(), 0);
    EXPECT_TRUE(sockets.b.receive());
    ASSERT_EQ(sockets.to_a(), 0);
    EXPECT_TRUE(sockets.a.receive());
  }
  const WindowEvidence healed = evidence(gate, kEgress, 1);
  EXPECT_GE(healed.dropped_packets, sent) << "healing keeps the evidence";
  EXPECT_GT(healed.first_passed_ns, healed.last_dropped_ns);
}

TEST(Drop, TcpConnectHangsInsteadOfFailing) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(30s)));
  check(gate.load(cut(1)));
  const SocketAddress target(TwoNodes::kB4, 7001);
  const UniqueFd listener = nodes.b.run([&] {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(fd.get(), target.get(), target.size) != 0 || ::listen(fd.get(), 8) != 0) {
      throw std::runtime_error("listen");
    }
    return fd;
  });
  const UniqueFd client = nodes.a.run(
      [] { return UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); });
  ASSERT_EQ(::connect(client.get(), target.get(), target.size), -1);
  ASSERT_EQ(errno, EINPROGRESS);
  pollfd waits{client.get(), POLLOUT, 0};
  EXPECT_EQ(::poll(&waits, 1, 300), 0) << "neither connected nor refused: the SYN just vanished";
  check(gate.load({}));
  ASSERT_EQ(::poll(&waits, 1, 10000), 1) << "the retransmitted SYN gets through after the heal";
  int error = -1;
  socklen_t size = sizeof error;
  ASSERT_EQ(::getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &size), 0);
  EXPECT_EQ(error, 0);
}

TEST(Drop, OneWayLeavesTheOtherDirectionAlone) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(30s)));
  const Sockets sockets(nodes, kFamilies[0]);
  const MonoTime now = mono_now();
  check(gate.load({{rule(kEgress, 1, now, now + 60s)}, {}}));
  ASSERT_EQ(sockets.to_b(), 0);
  ASSERT_EQ(sockets.to_a(), 0);
  EXPECT_TRUE(sockets.a.receive());
  EXPECT_FALSE(sockets.b.receive(50ms));

  check(gate.load({{rule(kIngress, 1, now, now + 60s)}, {}}));
  ASSERT_EQ(sockets.to_b(), 0);
  ASSERT_EQ(sockets.to_a(), 0);
  EXPECT_TRUE(sockets.b.receive());
  EXPECT_FALSE(sockets.a.receive(50ms));
}

TEST(Drop, NothingIsDroppedBeforeTheFirstLease) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  check(gate.load(cut(1)));
  const Sockets sockets(nodes, kFamilies[0]);
  ASSERT_EQ(sockets.to_b(), 0);
  EXPECT_TRUE(sockets.b.receive());
  EXPECT_GE(evidence(gate, kEgress, 1).passed_packets, 1U);
  EXPECT_FALSE(value_of(gate.lease()).lapsed);
  EXPECT_TRUE(value_of(gate.renew_lease(30s)));
  ASSERT_EQ(sockets.to_b(), 0);
  EXPECT_FALSE(sockets.b.receive(50ms));
}

}  // namespace
}  // namespace zq::test
