#include "agent/probe/canary.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <fstream>

#include "tests/integration/probe/harness.h"
#include "tests/integration/probe/namespace.h"

namespace zq::probe_test {
namespace {

constexpr std::uint16_t kFirst = 9100;
constexpr std::uint16_t kLast = 9107;

// A canary in a process of its own.
class CanaryProcess {
 public:
  CanaryProcess(const std::string& bind, const std::string& app, const std::string& instance,
                std::uint16_t last = kLast, int clone_flags = 0) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (clone_flags != 0) {
      if (::unshare(clone_flags) != 0) ::_exit(99);
      const pid_t first = ::fork();  // the first process of the new pid namespace
      if (first != 0) {
        int status = 0;
        ::waitpid(first, &status, 0);
        ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
      }
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getpid() != 1) ::_exit(97);
    }
    ::_exit(run_canary({.app = app,
                        .instance = instance,
                        .bind = bind,
                        .port_first = kFirst,
                        .port_last = last,
                        .zone = "b"}));
  }
  ~CanaryProcess() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGCONT);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  CanaryProcess(const CanaryProcess&) = delete;
  CanaryProcess& operator=(const CanaryProcess&) = delete;

  void kill(int signal) const { ::kill(pid_, signal); }
  [[nodiscard]] pid_t pid() const { return pid_; }
  std::optional<int> wait_exit_code(Nanos within) {
    const MonoTime deadline = mono_now() + within;
    int status = 0;
    while (mono_now() < deadline) {
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      }
      std::this_thread::sleep_for(1ms);
    }
    return std::nullopt;
  }

 private:
  pid_t pid_ = -1;
};

zonequake::Probe canary_probe(const std::string& host, const std::string& app,
                              std::uint32_t timeout_ms = 500) {
  zonequake::Probe probe = make_probe("canary", 50, timeout_ms);
  probe.mutable_canary()->set_host(host);
  probe.mutable_canary()->set_port_first(kFirst);
  probe.mutable_canary()->set_port_last(kLast);
  probe.mutable_canary()->set_app(app);
  return probe;
}

zonequake::Probe http_probe(const std::string& host, std::uint16_t port, const std::string& path) {
  zonequake::Probe probe = make_probe("http", 50);
  probe.mutable_http()->set_url(fmt::format("http://{}:{}{}", host, port, path));
  return probe;
}

// Probes until `count` canaries of the app are seen.
std::optional<Observation> wait_canaries(Collector& collector, std::size_t count) {
  return collector.wait("canary", [count](const Observation& result) {
    return result.outcome() == Observation::ANSWER && body_of(result).size() == count;
  });
}

TEST(Canary, SaysWhoItIsAndCountsAnswers) {
  const std::string host = own_loopback();
  const CanaryProcess canary(host, "shop", "shop.1");
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({http_probe(host, kFirst, "/whoami")}));
  const auto result = collector.wait(
      "http", [](const Observation& o) { return o.outcome() == Observation::ANSWER; });
  ASSERT_TRUE(result);
  const auto whoami = body_of(*result);
  EXPECT_EQ(whoami.at("app"), "shop");
  EXPECT_EQ(whoami.at("instance"), "shop.1");
  EXPECT_EQ(whoami.at("zone"), "b");
  EXPECT_EQ(whoami.at("port"), kFirst);
  EXPECT_EQ(whoami.at("pid"), canary.pid());
  EXPECT_GT(whoami.at("started_wall_ns").get<std::int64_t>(), 1'600'000'000'000'000'000);
  const auto answered = whoami.at("answered").get<std::uint64_t>();
  EXPECT_GE(answered, 1U);
  EXPECT_TRUE(collector.wait("http", [answered](const Observation& o) {
    return body_of(o).at("answered").get<std::uint64_t>() > answered;
  }));
  EXPECT_EQ(first_result(http_probe(host, kFirst, "/healthz")).status(), 200);
  EXPECT_EQ(first_result(http_probe(host, kFirst, "/else")).status(), 404);
}

TEST(Canary, TakesTheNextPortAndFailsWhenNoneIsLeft) {
  const std::string host = own_loopback();
  const CanaryProcess one(host, "shop", "shop.1", kFirst + 1);
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({canary_probe(host, "shop")}));
  ASSERT_TRUE(wait_canaries(collector, 1));
  const CanaryProcess two(host, "shop", "shop.2", kFirst + 1);
  const auto both = wait_canaries(collector, 2);
  ASSERT_TRUE(both);
  EXPECT_EQ(body_of(*both)[0].at("port"), kFirst);
  EXPECT_EQ(body_of(*both)[1].at("port"), kFirst + 1);
  CanaryProcess three(host, "shop", "shop.3", kFirst + 1);
  EXPECT_EQ(three.wait_exit_code(5s), 70);
  // The wildcard address includes ours: it must not share the port either.
  CanaryProcess wildcard("0.0.0.0", "shop", "shop.4", kFirst + 1);
  EXPECT_EQ(wildcard.wait_exit_code(5s), 70);
}

TEST(Canary, BadOptionsAreRefused) {
  EXPECT_EQ(CanaryProcess("not an address", "a", "i").wait_exit_code(5s), 64);
  EXPECT_EQ(CanaryProcess(own_loopback(), "a", "i", kFirst - 1).wait_exit_code(5s), 64);
}

TEST(Canary, EndsWithin100MillisecondsOfSigterm) {
  const std::string host = own_loopback();
  for (const int flags : {0, CLONE_NEWPID}) {  // also as the first process of a container
    CanaryProcess canary(host, "shop", "shop.1", kLast, flags);
    Collector collector;
    ProbeEngine engine(collector.sink());
    engine.set_probes(make_set({canary_probe(host, "shop")}));
    ASSERT_TRUE(wait_canaries(collector, 1));
    pid_t target = canary.pid();
    if (flags != 0) {
      std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", canary.pid()));
      ASSERT_TRUE(children >> target);
    }
    const MonoTime begin = mono_now();
    ::kill(target, SIGTERM);
    EXPECT_EQ(canary.wait_exit_code(5s), 0);
    EXPECT_LT(mono_now() - begin, 100ms);
  }
}

TEST(CanaryProbe, ListsItsAppSortedWithoutCounters) {
  const std::string host = own_loopback();
  const CanaryProcess z(host, "shop", "z");
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({canary_probe(host, "shop")}));
  ASSERT_TRUE(wait_canaries(collector, 1));
  const CanaryProcess other(host, "bank", "a");
  const CanaryProcess a(host, "shop", "a");
  const auto result = wait_canaries(collector, 2);
  ASSERT_TRUE(result);
  const auto body = body_of(*result);
  EXPECT_EQ(body[0].at("instance"), "a");
  EXPECT_EQ(body[1].at("instance"), "z");
  EXPECT_EQ(body[1].at("port"), kFirst);
  for (const auto& entry : body) {
    EXPECT_EQ(entry.at("app"), "shop");
    EXPECT_TRUE(entry.at("host").is_string());
    EXPECT_FALSE(entry.contains("answered"));
    EXPECT_FALSE(entry.contains("pid"));
  }
  const std::size_t seen = collector.all("canary").size();
  ASSERT_TRUE(collector.wait_count("canary", seen + 3));
  EXPECT_EQ(collector.all("canary").back().body(), result->body());
}

TEST(CanaryProbe, NobodyThereIsAnAnswer) {
  const Observation result = first_result(canary_probe(own_loopback(), "shop"));
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_EQ(result.body(), "[]");
}

TEST(CanaryProbe, AStoppedCanaryHangs) {
  const std::string host = own_loopback();
  const CanaryProcess one(host, "shop", "shop.1");
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({canary_probe(host, "shop", 300)}));
  ASSERT_TRUE(wait_canaries(collector, 1));
  const CanaryProcess two(host, "shop", "shop.2");
  ASSERT_TRUE(wait_canaries(collector, 2));
  one.kill(SIGSTOP);
  const auto hangs = [](const Observation& o) {
    const auto body = body_of(o);
    return body.size() == 2 && body[0].contains("hangs");
  };
  const auto result = collector.wait("canary", hangs);
  ASSERT_TRUE(result);
  EXPECT_EQ(body_of(*result)[0], (nlohmann::json{{"port", kFirst}, {"hangs", true}}));
  EXPECT_EQ(body_of(*result)[1].at("instance"), "shop.2");
  EXPECT_LT(Nanos(result->took_ns()), 600ms);
  one.kill(SIGCONT);
  EXPECT_TRUE(
      collector.wait("canary", [&](const auto& o) { return body_of(o).size() == 2 && !hangs(o); }));
}

TEST(CanaryProbe, ServersThatAreNoCanariesAreLeftOut) {
  const Server json = Server::tcp(answer_http(R"({"app":"shop"})"));
  const Server text = Server::tcp(answer_http("hello"));
  const Server closes = Server::tcp([](int) {});
  for (const Server* server : {&json, &text, &closes}) {
    zonequake::Probe probe = canary_probe("127.0.0.1", "shop");
    probe.mutable_canary()->set_port_first(server->port());
    probe.mutable_canary()->set_port_last(server->port());
    const Observation result = first_result(probe);
    EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
    EXPECT_EQ(result.body(), "[]");
  }
}

TEST(CanaryProbe, SilentHostIsTimedOutNotEmpty) {
  const FullQueue queue = full_tcp_queue();
  zonequake::Probe probe = canary_probe("127.0.0.1", "shop", 300);
  probe.mutable_canary()->set_port_first(queue.port);
  probe.mutable_canary()->set_port_last(queue.port);
  EXPECT_EQ(first_result(probe).outcome(), Observation::TIMED_OUT);
}

TEST(CanaryProbe, UnroutableIsUnreachableAndBadRangesAreFailed) {
  Collector collector;
  const auto engine = engine_without_network(collector);
  engine->set_probes(make_set({canary_probe("10.66.255.1", "shop")}));
  const auto result = collector.wait("canary");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome(), Observation::UNREACHABLE) << result->error();

  for (const auto& [first, last] : {std::pair{0U, 5U}, {9U, 5U}, {1U, 70'000U}, {1U, 5000U}}) {
    zonequake::Probe probe = canary_probe("127.0.0.1", "shop");
    probe.mutable_canary()->set_port_first(first);
    probe.mutable_canary()->set_port_last(last);
    EXPECT_EQ(first_result(probe).outcome(), Observation::FAILED) << first << "-" << last;
  }
}

}  // namespace
}  // namespace zq::probe_test
