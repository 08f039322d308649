// Reject: what the two ends see of it, at either hook and in both families.
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>

#include "agent/dataplane/rejector.h"
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
constexpr Family kFamilies[] = {{"IPv4", TwoNodes::kA4, TwoNodes::kB4},
                                {"IPv6", TwoNodes::kA6, TwoNodes::kB6}};

GateProgramme rejecting(FlowDirection direction, const Scope& scope = {}) {
  GateRule::Segment segment;
  segment.from = mono_now();
  segment.until = segment.from + 60s;
  segment.treatment = Treatment::kReject;
  segment.scope = scope;
  return {{{direction, 1, {segment}}}, {}};
}

UniqueFd tcp_socket(const TestNetns& netns, const SocketAddress& like) {
  return netns.run([&] {
    return UniqueFd(::socket(like.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  });
}

// What becomes of a connection: 0, an errno, or ETIMEDOUT when nothing does.
int outcome_of(const UniqueFd& socket, short events) {
  pollfd waits{socket.get(), events, 0};
  if (::poll(&waits, 1, 2000) != 1) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

struct Listener {
  Listener(const TestNetns& netns, const char* address, std::uint16_t port)
      : at(address, port), fd(tcp_socket(netns, at)) {
    const int one = 1;
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (::bind(fd.get(), at.get(), at.size) != 0 || ::listen(fd.get(), 8) != 0) {
      throw std::runtime_error("listen");
    }
  }
  [[nodiscard]] UniqueFd accept() const {
    pollfd waits{fd.get(), POLLIN, 0};
    if (::poll(&waits, 1, 2000) != 1) throw std::runtime_error("nobody connects");
    return UniqueFd(::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  }
  SocketAddress at;
  UniqueFd fd;
};

UniqueFd connect_from(const TestNetns& netns, const SocketAddress& to) {
  UniqueFd socket = tcp_socket(netns, to);
  if (::connect(socket.get(), to.get(), to.size) != 0 && errno != EINPROGRESS) {
    throw std::runtime_error(std::strerror(errno));
  }
  return socket;
}

// A UDP socket that is connected, so that it hears of errors.
UniqueFd connected_udp(const TestNetns& netns, const SocketAddress& to) {
  return netns.run([&] {
    UniqueFd fd(::socket(to.get()->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(fd.get(), to.get(), to.size) != 0) throw std::runtime_error("connect");
    return fd;
  });
}

class Reject : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(value_of(gate_.renew_lease(60s))); }
  // At the egress of `a`, or at its ingress: who begins is the one whose packets are rejected.
  void in_every_way(
      const std::function<void(const TestNetns& from, const char* to, const TestNetns& peer,
                               FlowDirection direction)>& work) {
    for (const Family& family : kFamilies) {
      for (const FlowDirection direction : {kEgress, kIngress}) {
        SCOPED_TRACE(fmt::format("{} {}", family.name, hook(direction)));
        check(gate_.load({}));
        if (direction == kEgress) {
          work(nodes_.a, family.b, nodes_.b, direction);
        } else {
          work(nodes_.b, family.a, nodes_.a, direction);
        }
      }
    }
  }
  static const char* hook(FlowDirection direction) {
    return direction == kEgress ? "egress" : "ingress";
  }

  TwoNodes nodes_;
  Gate gate_ = nodes_.attach();
};

TEST_F(Reject, ConnectIsRefused) {
  in_every_way(
      [&](const TestNetns& from, const char* to, const TestNetns& peer, FlowDirection direction) {
        const Listener listener(peer, to, 7001);
        check(gate_.load(rejecting(direction)));
        const UniqueFd client = connect_from(from, listener.at);
        EXPECT_EQ(outcome_of(client, POLLOUT), ECONNREFUSED);
        const WindowEvidence proof = evidence(gate_, direction, 1);
        EXPECT_GE(proof.dropped_packets, 1U);
        EXPECT_EQ(counter(gate_, direction, 1).rejected_packets,
                  counter(gate_, direction, 1).dropped_packets);
      });
}

TEST_F(Reject, AnEstablishedConnectionIsReset) {
  in_every_way(
      [&](const TestNetns& from, const char* to, const TestNetns& peer, FlowDirection direction) {
        const Listener listener(peer, to, 7001);
        const UniqueFd client = connect_from(from, listener.at);
        const UniqueFd server = listener.accept();
        ASSERT_EQ(outcome_of(client, POLLOUT), 0);
        check(gate_.load(rejecting(direction)));
        ASSERT_EQ(::send(client.get(), "hello", 5, MSG_NOSIGNAL), 5);
        EXPECT_EQ(outcome_of(client, POLLIN), ECONNRESET);
      });
}

TEST_F(Reject, UdpHearsOfAnUnreachablePort) {
  in_every_way(
      [&](const TestNetns& from, const char* to, const TestNetns& peer, FlowDirection direction) {
        const UdpSocket service(peer, to, 7001);
        check(gate_.load(rejecting(direction)));
        const UniqueFd client = connected_udp(from, SocketAddress(to, 7001));
        ASSERT_EQ(::send(client.get(), "hello", 5, 0), 5);
        EXPECT_EQ(outcome_of(client, POLLIN), ECONNREFUSED);
        EXPECT_EQ(service.drain(), 0U);
      });
}

TEST_F(Reject, PingIsToldThatItIsProhibited) {
  in_every_way(
      [&](const TestNetns& from, const char* to, const TestNetns&, FlowDirection direction) {
        check(gate_.load(rejecting(direction)));
        const TempDir directory;
        const std::string file = directory.path() + "/ping";
        const int status = std::system(
            fmt::format("nsenter --net=/run/netns/{} ping -n -c1 -W2 {} >{}", from.name(), to, file)
                .c_str());
        EXPECT_NE(status, 0);
        EXPECT_EQ(std::system(fmt::format("grep -qiE 'filtered|prohibited' {}", file).c_str()), 0);
      });
}

TEST_F(Reject, OnlyWhatIsInScope) {
  Scope scope;
  scope.protocol = IPPROTO_TCP;
  scope.destination_ports = {{7001, 7001}};
  check(gate_.load(rejecting(kEgress, scope)));
  const Listener refused(nodes_.b, TwoNodes::kB4, 7001);
  const Listener spared(nodes_.b, TwoNodes::kB4, 7002);
  EXPECT_EQ(outcome_of(connect_from(nodes_.a, refused.at), POLLOUT), ECONNREFUSED);
  EXPECT_EQ(outcome_of(connect_from(nodes_.a, spared.at), POLLOUT), 0);
}

TEST_F(Reject, EndsWithTheLease) {
  check(gate_.load(rejecting(kEgress)));
  check(gate_.end_lease());
  const Listener listener(nodes_.b, TwoNodes::kB4, 7001);
  EXPECT_EQ(outcome_of(connect_from(nodes_.a, listener.at), POLLOUT), 0);
}

// The answer to the peer leaves through a gate that drops everything that way.
TEST_F(Reject, AnswersPassTheGate) {
  GateProgramme both = rejecting(kIngress);
  both.rules.push_back(rule(kEgress, 1, mono_now(), mono_now() + 60s));
  check(gate_.load(both));
  const UdpSocket service(nodes_.a, TwoNodes::kA4, 7001);
  const UniqueFd client = connected_udp(nodes_.b, SocketAddress(TwoNodes::kA4, 7001));
  ASSERT_EQ(::send(client.get(), "hello", 5, 0), 5);
  EXPECT_EQ(outcome_of(client, POLLIN), ECONNREFUSED);
  EXPECT_EQ(counter(gate_, kEgress, 1).passed_packets, 0U) << "and is not counted";
}

// An IPv4 packet from 10.66.0.1 to 10.66.0.2.
std::vector<std::uint8_t> packet(std::uint8_t protocol, std::vector<std::uint8_t> carried) {
  std::vector<std::uint8_t> bytes{0x45, 0,        0, static_cast<std::uint8_t>(20 + carried.size()),
                                  0,    0,        0, 0,
                                  64,   protocol, 0, 0,
                                  10,   66,       0, 1,
                                  10,   66,       0, 2};
  bytes.insert(bytes.end(), carried.begin(), carried.end());
  return bytes;
}

TEST(RejectAnswer, NobodyAnswersTheseAtAll) {
  std::vector<std::uint8_t> tcp(20);
  tcp[12] = 0x50;
  tcp[13] = 0x10;
  EXPECT_TRUE(reject_answer(packet(IPPROTO_TCP, tcp)));
  tcp[13] = 0x04;
  EXPECT_FALSE(reject_answer(packet(IPPROTO_TCP, tcp))) << "a reset";
  EXPECT_FALSE(reject_answer(packet(IPPROTO_TCP, {1, 2, 3}))) << "cut short";
  EXPECT_TRUE(reject_answer(packet(IPPROTO_ICMP, {ICMP_ECHO, 0, 0, 0})));
  EXPECT_FALSE(reject_answer(packet(IPPROTO_ICMP, {ICMP_DEST_UNREACH, 0, 0, 0})));
  auto fragment = packet(IPPROTO_UDP, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_TRUE(reject_answer(fragment));
  fragment[7] = 1;
  EXPECT_FALSE(reject_answer(fragment)) << "a later fragment";
  auto multicast = packet(IPPROTO_UDP, {1, 2, 3, 4, 5, 6, 7, 8});
  multicast[16] = 224;
  EXPECT_FALSE(reject_answer(multicast));
  EXPECT_FALSE(reject_answer({}));
}

TEST(RejectAnswer, AResetMatchesTheSegment) {
  std::vector<std::uint8_t> syn(20);
  syn[0] = 0x1b;  // port 7000
  syn[1] = 0x58;
  syn[2] = 0x1b;  // port 7001
  syn[3] = 0x59;
  syn[7] = 41;  // sequence
  syn[11] = 77;
  syn[12] = 0x50;
  syn[13] = 0x02;
  const auto answer = reject_answer(packet(IPPROTO_TCP, syn));
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->size(), 40U);
  EXPECT_EQ(answer->at(15), 2) << "in the peer's name";
  EXPECT_EQ(answer->at(19), 1);
  EXPECT_EQ(answer->at(21), 0x59);
  EXPECT_EQ(answer->at(27), 0) << "sequence";
  EXPECT_EQ(answer->at(31), 42) << "acknowledges the SYN";
  EXPECT_EQ(answer->at(33), 0x14);
}

}  // namespace
}  // namespace zq::test
