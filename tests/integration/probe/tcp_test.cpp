#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/integration/probe/harness.h"
#include "tests/integration/probe/namespace.h"

namespace zq::probe_test {
namespace {

constexpr Nanos kSlack = 300ms;

zonequake::Probe tcp_probe(const std::string& host, std::uint32_t port) {
  zonequake::Probe probe = make_probe("tcp", 200, 300);
  probe.mutable_tcp()->set_host(host);
  probe.mutable_tcp()->set_port(port);
  return probe;
}

zonequake::Probe word_probe(std::uint32_t port, const std::string& word = "ruok") {
  zonequake::Probe probe = make_probe("word", 200, 300);
  probe.mutable_four_letter()->set_host("127.0.0.1");
  probe.mutable_four_letter()->set_port(port);
  probe.mutable_four_letter()->set_word(word);
  return probe;
}

TEST(TcpProbe, ConnectedIsTheAnswer) {
  const Server server = Server::tcp(hang);
  for (const char* host : {"127.0.0.1", "localhost", "::ffff:127.0.0.1"}) {
    const Observation result = first_result(tcp_probe(host, server.port()));
    EXPECT_EQ(result.outcome(), Observation::ANSWER) << host << ": " << result.error();
  }
}

TEST(TcpProbe, NobodyListens) {
  const Observation result = first_result(tcp_probe("127.0.0.1", closed_port()));
  EXPECT_EQ(result.outcome(), Observation::REFUSED);
  EXPECT_EQ(result.error(), "Connection refused");
}

TEST(TcpProbe, ConnectHangs) {
  const FullQueue queue = full_tcp_queue();
  const Observation result = first_result(tcp_probe("127.0.0.1", queue.port));
  EXPECT_EQ(result.outcome(), Observation::TIMED_OUT);
  EXPECT_EQ(result.error(), "no connection in time");
  EXPECT_GE(Nanos(result.took_ns()), 300ms);
  EXPECT_LT(Nanos(result.took_ns()), 300ms + kSlack);
}

TEST(TcpProbe, UnroutableIsUnreachable) {
  Collector collector;
  const auto engine = engine_without_network(collector);
  engine->set_probes(make_set({tcp_probe("10.66.255.1", 80)}));
  const auto result = collector.wait("tcp");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome(), Observation::UNREACHABLE) << result->error();
}

TEST(TcpProbe, NamesAndBadPortsAreFailed) {
  EXPECT_EQ(first_result(tcp_probe("some.name", 80)).outcome(), Observation::FAILED);
  EXPECT_EQ(first_result(tcp_probe("", 80)).outcome(), Observation::FAILED);
  EXPECT_EQ(first_result(tcp_probe("127.0.0.1", 0)).outcome(), Observation::FAILED);
  const Observation result = first_result(tcp_probe("127.0.0.1", 65536));
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_EQ(result.error(), "65536 is not a TCP port");
}

TEST(FourLetterProbe, AnswerIsAllUntilTheEnd) {
  const Server server = Server::tcp([](int connection) {
    std::string word(4, '\0');
    if (::recv(connection, word.data(), word.size(), MSG_WAITALL) != 4) return;
    write_all(connection, word + " one\n");
    write_all(connection, std::string(100'000, 'z'));
  });
  const Observation result = first_result(word_probe(server.port(), "mntr"));
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_EQ(result.body(), "mntr one\n" + std::string(100'000, 'z'));
}

TEST(FourLetterProbe, EachOutcome) {
  EXPECT_EQ(first_result(word_probe(closed_port())).outcome(), Observation::REFUSED);
  EXPECT_EQ(first_result(word_probe(closed_port(), "")).outcome(), Observation::FAILED);

  const Server silent = Server::tcp(hang);
  const Observation hangs = first_result(word_probe(silent.port()));
  EXPECT_EQ(hangs.outcome(), Observation::TIMED_OUT);
  EXPECT_EQ(hangs.error(), "connected, but no answer came in time");
  EXPECT_LT(Nanos(hangs.took_ns()), 300ms + kSlack);

  const Server closes = Server::tcp([](int connection) {
    std::string word(4, '\0');
    (void)::recv(connection, word.data(), word.size(), MSG_WAITALL);
  });
  EXPECT_EQ(first_result(word_probe(closes.port())).outcome(), Observation::REFUSED);

  const Server drips = Server::tcp([](int connection) {
    for (int i = 0; i < 100; ++i) {
      write_all(connection, "x");
      std::this_thread::sleep_for(10ms);  // the behaviour under test
    }
  });
  const Observation part = first_result(word_probe(drips.port()));
  EXPECT_EQ(part.outcome(), Observation::TIMED_OUT);
  EXPECT_EQ(part.error(), "only a part of the answer came in time");

  const Server huge = Server::tcp([](int connection) {
    std::string word(4, '\0');
    (void)::recv(connection, word.data(), word.size(), MSG_WAITALL);
    write_all(connection, std::string(9U << 20, 'h'));
  });
  zonequake::Probe probe = word_probe(huge.port());
  probe.set_timeout_ms(5000);
  const Observation too_large = first_result(probe);
  EXPECT_EQ(too_large.outcome(), Observation::FAILED);
  EXPECT_EQ(too_large.error(), "the answer is larger than 8 MiB");
}

}  // namespace
}  // namespace zq::probe_test
