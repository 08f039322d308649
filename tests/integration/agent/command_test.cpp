// The command line: what it prints, what it refuses, how it ends.
#include "tests/integration/agent/agent_fixture.h"

namespace zq::test {
namespace {

TEST(Command, TellsItsVersionAndHelp) {
  const auto version = run_agent({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_NE(version.output.find("zonequake-agent " ZQ_VERSION), std::string::npos);
  const auto help = run_agent({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const auto* const word : {"serve", "clean", "describe", "canary"}) {
    EXPECT_NE(help.output.find(word), std::string::npos) << word;
  }
}

TEST(Command, RefusesBadArguments) {
  const TempDir dir;
  const std::string state = dir.path() + "/state";
  const auto serve = [&](const std::string& listen, const std::string& node = "n") {
    return run_agent({"serve", "--node", node, "--listen", listen, "--state-dir", state});
  };
  const std::vector<std::pair<Finished, std::string>> cases{
      {run_agent({}), "subcommand is required"},
      {run_agent({"fly"}), "subcommand is required"},
      {run_agent({"serve"}), "--node"},
      {serve("unix:" + dir.path() + "/s", ""), "--node"},
      {serve("unix:relative"), "absolute"},
      {serve("unix:/" + std::string(200, 'x')), "longer"},
      {serve("nonsense"), "HOST:PORT"},
      {serve("127.0.0.1:notaport"), "not a port"},
      {serve("127.0.0.1:70000"), "not a port"},
      {serve("0.0.0.0:7000"), "mutual TLS"},
      {serve("10.66.0.1:7000"), "mutual TLS"},
      {serve("[fd66::1]:7000"), "mutual TLS"},
      {serve("unix:" + dir.path() + "/missing/agent.sock"), "cannot listen"},
      {run_agent({"serve", "--node", "n", "--listen", "unix:" + dir.path() + "/s", "--state-dir",
                  state, "--netns", "there-is-no-such-namespace"}),
       "there-is-no-such-namespace"},
      {run_agent({"describe", "--peer", "10.66.0.300"}), "10.66.0.300"},
  };
  for (const auto& [finished, word] : cases) {
    EXPECT_EQ(finished.code, 64) << finished.output;
    EXPECT_NE(finished.output.find(word), std::string::npos) << finished.output;
  }
}

TEST(Command, RefusesAnotherClock) {
  const TempDir dir;
  const auto finished =
      run_agent({"serve", "--node", "n", "--listen", "unix:" + dir.path() + "/s", "--state-dir",
                 dir.path() + "/state"},
                {"unshare", "--time", "--fork", "--kill-child", "--monotonic", "1000"});
  EXPECT_EQ(finished.code, 64) << finished.output;
  EXPECT_NE(finished.output.find("time namespace"), std::string::npos) << finished.output;
}

TEST(Command, RefusesASecondAgentOnTheSameState) {
  Fleet fleet(1);
  const auto second =
      run_agent({"serve", "--node", "other", "--listen", "unix:" + fleet[0].socket() + "2",
                 "--state-dir", fleet[0].state_dir(), "--netns", fleet[0].netns().name()});
  EXPECT_EQ(second.code, 64);
  EXPECT_NE(second.output.find("an agent is running"), std::string::npos) << second.output;
  EXPECT_EQ(
      run_agent({"clean", "--state-dir", fleet[0].state_dir(), "--netns", fleet[0].netns().name()})
          .code,
      64);
  EXPECT_TRUE(fleet[0].describe().status.ok());
}

TEST(Command, RefusesASecondAgentOnTheSameSocket) {
  Fleet fleet(1);
  const TempDir other;
  const std::vector<std::string> serve{"serve",
                                       "--node",
                                       "other",
                                       "--listen",
                                       "unix:" + fleet[0].socket(),
                                       "--state-dir",
                                       other.path(),
                                       "--netns",
                                       fleet[0].netns().name()};
  const auto refused = [&] {
    const auto second = run_agent(serve);
    EXPECT_EQ(second.code, 64);
    EXPECT_NE(second.output.find(fleet[0].socket()), std::string::npos) << second.output;
    EXPECT_NE(second.output.find(fmt::format("process {} listens", fleet[0].process().pid())),
              std::string::npos)
        << second.output;
  };
  refused();
  EXPECT_TRUE(fleet[0].describe().status.ok());
  fleet[0].process().signal(SIGSTOP);
  refused();
  fleet[0].process().signal(SIGCONT);
  EXPECT_TRUE(fleet[0].describe().status.ok());
  // The path that a killed agent leaves is taken over.
  fleet[0].process().signal(SIGKILL);
  (void)fleet[0].process().wait();
  ASSERT_TRUE(std::filesystem::exists(fleet[0].socket()));
  fleet[0].start();
}

TEST(Command, CleansAfterAnAgentThatDied) {
  Fleet fleet(2);
  fleet.arm();
  fleet.stop_heart(0);
  fleet[0].process().signal(SIGKILL);
  (void)fleet[0].process().wait();
  const std::vector<std::string> clean{"clean", "--state-dir", fleet[0].state_dir(), "--netns",
                                       fleet[0].netns().name()};
  const auto first = run_agent(clean);
  EXPECT_EQ(first.code, 0) << first.output;
  EXPECT_NE(first.output.find("up0"), std::string::npos) << first.output;
  const auto second = run_agent(clean);
  EXPECT_EQ(second.code, 0);
  EXPECT_EQ(second.output, "");
}

TEST(Command, DescribesTheNode) {
  Fleet fleet(2);
  const auto finished =
      run_agent({"describe", "--netns", fleet[0].netns().name(), "--peer", fleet[1].v4()});
  EXPECT_EQ(finished.code, 0) << finished.output;
  EXPECT_NE(finished.output.find("uplink   up0"), std::string::npos) << finished.output;
  EXPECT_NE(finished.output.find("clock    the kernel's"), std::string::npos) << finished.output;
}

TEST(Command, ServesTcpOnLoopback) {
  Fleet fleet(2);
  fleet[0].process().signal(SIGTERM);
  ASSERT_EQ(fleet[0].process().wait(), 0);
  // The port is inside the node's namespace, so the client's socket has to be made there.
  fleet[0].start("127.0.0.1:7400");
  ASSERT_TRUE(wait_until([&] { return fleet[0].log().find("port 7400") != std::string::npos; }))
      << fleet[0].log();
  const bool connected = fleet[0].netns().run([] {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const SocketAddress address("127.0.0.1", 7400);
    return ::connect(fd.get(), address.get(), address.size) == 0;
  });
  EXPECT_TRUE(connected);
}

}  // namespace
}  // namespace zq::test
