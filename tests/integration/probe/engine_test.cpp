#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/integration/probe/harness.h"

namespace zq::probe_test {
namespace {

zonequake::Probe http_probe(const std::string& id, const std::string& url,
                            std::uint32_t interval_ms, std::uint32_t timeout_ms = 1000) {
  zonequake::Probe probe = make_probe(id, interval_ms, timeout_ms);
  probe.mutable_http()->set_url(url);
  return probe;
}

TEST(ProbeEngine, KeepsTheIntervalStartToStart) {
  // Each answer takes 60 of the 100 ms: an interval from end to start would be seen at once.
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    std::this_thread::sleep_for(60ms);  // the behaviour under test
    write_all(connection, "HTTP/1.1 200 OK\r\n\r\n");
  });
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({http_probe("a", server.url(), 100)}));
  ASSERT_TRUE(collector.wait_count("a", 21));
  const auto results = collector.all("a");
  const auto start = [&](std::size_t i) { return results[i].at_mono_ns() - results[i].took_ns(); };
  const Nanos whole{start(20) - start(0)};
  EXPECT_GE(whole, 1990ms);
  EXPECT_LT(whole, 2600ms);
}

TEST(ProbeEngine, NeverOverlapsItselfAndReportsEachTimeOut) {
  std::atomic<int> open{0};
  std::atomic<int> most{0};
  const Server server = Server::tcp([&](int connection) {
    const int now = ++open;
    if (now > most) most = now;
    hang(connection);
    --open;
  });
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({http_probe("a", server.url(), 20, 150)}));
  ASSERT_TRUE(collector.wait_count("a", 5));
  engine.stop();
  // The server may notice the end of one connection after the start of the next.
  EXPECT_LE(most, 2);
  const auto results = collector.all("a");
  for (const Observation& result : results) {
    EXPECT_EQ(result.outcome(), Observation::TIMED_OUT);
    EXPECT_GE(Nanos(result.took_ns()), 150ms);
  }
  for (std::size_t i = 1; i < results.size(); ++i)
    EXPECT_GE(results[i].at_mono_ns() - results[i].took_ns(), results[i - 1].at_mono_ns());
}

TEST(ProbeEngine, HundredsOfProbesAtOnceAlsoHangingOnes) {
  const Server answers = Server::tcp(answer_http("x"));
  const Server hangs = Server::tcp(hang);
  std::vector<zonequake::Probe> probes;
  for (int i = 0; i < 300; ++i)
    probes.push_back(
        http_probe(fmt::format("p{}", i), (i % 3 == 0 ? hangs : answers).url(), 1000, 1500));
  Collector collector;
  ProbeEngine engine(collector.sink());
  const MonoTime begin = mono_now();
  engine.set_probes(make_set(probes));
  for (int i = 0; i < 300; ++i) {
    const std::string id = fmt::format("p{}", i);
    ASSERT_TRUE(collector.wait_count(id, 1)) << id;
    EXPECT_EQ(collector.all(id).front().outcome(),
              i % 3 == 0 ? Observation::TIMED_OUT : Observation::ANSWER);
  }
  EXPECT_LT(mono_now() - begin, 4s);
}

TEST(ProbeEngine, SetProbesKeepsUnchangedRestartsChangedStopsMissing) {
  const Server hangs = Server::tcp(hang);
  const Server one = Server::tcp(answer_http("one"));
  const Server two = Server::tcp(answer_http("two"));
  Collector collector;
  ProbeEngine engine(collector.sink());
  // "kept" has one long attempt under way: were it restarted, the server would see a second one.
  const zonequake::Probe kept = http_probe("kept", hangs.url(), 60'000, 1500);
  engine.set_probes(
      make_set({kept, http_probe("changed", one.url(), 30), http_probe("missing", one.url(), 30)}));
  ASSERT_TRUE(collector.wait_count("changed", 2));
  ASSERT_TRUE(collector.wait_count("missing", 2));

  engine.set_probes(
      make_set({kept, http_probe("changed", two.url(), 30), http_probe("new", two.url(), 30)}));
  ASSERT_TRUE(collector.wait("changed", [](const auto& o) { return o.body() == "two"; }));
  ASSERT_TRUE(collector.wait_count("new", 1));
  const std::size_t missing = collector.all("missing").size();
  ASSERT_TRUE(collector.wait_count("new", 10));
  EXPECT_EQ(collector.all("missing").size(), missing);
  ASSERT_TRUE(collector.wait_count("kept", 1));
  EXPECT_EQ(hangs.accepted(), 1U);
  EXPECT_GE(Nanos(collector.all("kept").front().took_ns()), 1500ms);
  for (bool seen_two = false; const Observation& result : collector.all("changed")) {
    seen_two = seen_two || result.body() == "two";
    EXPECT_EQ(result.body() == "two", seen_two) << "an old answer after a new one";
  }
}

TEST(ProbeEngine, TheLastProbeOfAnIdCounts) {
  const Server one = Server::tcp(answer_http("one"));
  const Server two = Server::tcp(answer_http("two"));
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({http_probe("a", one.url(), 20), http_probe("a", two.url(), 20)}));
  ASSERT_TRUE(collector.wait_count("a", 5));
  for (const Observation& result : collector.all("a")) EXPECT_EQ(result.body(), "two");
}

TEST(ProbeEngine, ResultsComeOneAtATimeFromOneThreadAndNoneAfterStop) {
  const Server server = Server::tcp(answer_http("x"));
  std::atomic<int> inside{0};
  std::atomic<int> count{0};
  std::atomic<bool> overlapped{false};
  std::atomic<bool> other_thread{false};
  std::optional<std::thread::id> thread;
  ProbeEngine engine([&](const Observation&, ProbeNews) {
    overlapped = overlapped || ++inside > 1;
    if (!thread) thread = std::this_thread::get_id();
    other_thread = other_thread || *thread != std::this_thread::get_id();
    ++count;
    --inside;
    return true;
  });
  std::vector<zonequake::Probe> probes;
  for (int i = 0; i < 20; ++i)
    probes.push_back(http_probe(fmt::format("p{}", i), server.url(), 10));
  engine.set_probes(make_set(probes));
  const MonoTime deadline = mono_now() + 10s;
  while (count < 100 && mono_now() < deadline) std::this_thread::sleep_for(5ms);
  engine.stop();
  const int at_stop = count;
  EXPECT_GE(at_stop, 100);
  EXPECT_FALSE(overlapped);
  EXPECT_FALSE(other_thread);
  engine.set_probes(make_set(probes));  // harmless
  engine.stop();
  EXPECT_EQ(count, at_stop);
}

TEST(ProbeEngine, ProbeOfNoKindIsFailed) {
  const Observation result = first_result(make_probe("empty"));
  EXPECT_EQ(result.probe(), "empty");
  EXPECT_EQ(result.outcome(), Observation::FAILED);
}

TEST(ProbeEngine, StopsAtOnceWithHangingProbes) {
  const Server server = Server::tcp(hang);
  const FullQueue queue = full_tcp_queue();
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(
      make_set({http_probe("a", server.url(), 100, 60'000),
                http_probe("b", fmt::format("http://127.0.0.1:{}/", queue.port), 100, 60'000)}));
  const MonoTime deadline = mono_now() + 10s;
  while (server.accepted() == 0 && mono_now() < deadline) std::this_thread::sleep_for(1ms);
  const MonoTime begin = mono_now();
  engine.stop();
  EXPECT_LT(mono_now() - begin, 500ms);
}

}  // namespace
}  // namespace zq::probe_test
