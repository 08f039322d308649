// The bounds of Mesos and Marathon, from flags as clusters have them.
#include "controller/systems/mesos_timers.h"

#include "tests/unit/systems/mesos_support.h"

namespace zq::test {
namespace {

std::map<std::string, Adapter::Timer> timers_with(const std::string& master_flags,
                                                  const std::string& agent_flags,
                                                  const std::string& rto_max_ms) {
  const auto adapter = adapter_of(mesos_cluster());
  EXPECT_TRUE(adapter->timers().empty()) << "nobody has told";
  tell_mesos_timers(*adapter, "mesos", master_flags, agent_flags, rto_max_ms);
  for (const auto& [name, timer] : adapter->timers()) {
    EXPECT_GT(timer.seconds, 0) << name;
    EXPECT_FALSE(timer.derivation.empty()) << name;
  }
  return adapter->timers();
}

TEST(MesosTimers, FollowStockFlags) {
  auto timers = timers_with(fixture("mesos/master-flags.json"), fixture("mesos/agent-flags.json"),
                            "120000\n");
  EXPECT_EQ(timers["ping_deadline"].seconds, 75);
  EXPECT_EQ(timers["unreachable_min"].seconds, 74);
  EXPECT_EQ(timers["unreachable_max"].seconds, 75 + 15 + 20 + 3);
  EXPECT_NEAR(timers["safe_cut_max"].seconds, 51, 1e-9);
  EXPECT_EQ(timers["leader_exit_max"].seconds, 12 + 10 + 3) << "(syncLimit + 1) ticks outlast 2S/3";
  const double elect = 12 + 2 + 20 + 10 + 2 + 2;
  EXPECT_EQ(timers["election_max"].seconds, elect + 3);
  EXPECT_EQ(timers["registry_serves_max"].seconds, elect + 60 + 3);
  EXPECT_NEAR(timers["overlap_max"].seconds, 22 - 20.0 / 3 + 3, 1e-9);
  EXPECT_EQ(timers["unreachable_new_leader_max"].seconds, elect + 600 + 20 + 3);
  EXPECT_EQ(timers["reregister_max"].seconds, 60 + 120 + 15 + 3);
  EXPECT_EQ(timers["registration_backoff"].seconds, 1);
  EXPECT_EQ(timers["zk_session_timeout"].seconds, 10);
  EXPECT_FALSE(timers.contains("agent_removal_spacing"));
}

TEST(MesosTimers, FollowDcosFlags) {
  auto timers = timers_with(
      R"({"flags":{"max_slave_ping_timeouts":"20","slave_removal_rate_limit":"1/20mins",)"
      R"("registry_store_timeout":"60secs"}})",
      R"({"flags":{}})", "");
  EXPECT_EQ(timers["ping_deadline"].seconds, 300);
  EXPECT_EQ(timers["agent_removal_spacing"].seconds, 1200);
  EXPECT_EQ(timers["unreachable_max"].seconds, 300 + 15 + 1200 + 60 + 3)
      << "one agent in each zone, which may wait for a permit";
  EXPECT_NEAR(timers["safe_cut_max"].seconds, 204.6, 1e-9);
  EXPECT_EQ(timers["tcp_rto_max"].seconds, 120) << "a kernel without the sysctl";
}

TEST(MesosTimers, TheLargestZoneWaitsForTheLimiter) {
  Cluster cluster = mesos_cluster();
  for (int i = 0; i < 9; ++i) {
    cluster.nodes.push_back(
        make_node("b" + std::to_string(i), "b", {"agent"}, "10.77.1." + std::to_string(i + 1)));
  }
  const auto adapter = adapter_of(cluster);
  tell_mesos_timers(*adapter, "mesos", R"({"flags":{"agent_removal_rate_limit":"6/1mins"}})",
                    R"({"flags":{}})", "");
  EXPECT_EQ(adapter->timers()["unreachable_max"].seconds, 75 + 15 + 10 * 10 + 20 + 3);
}

TEST(MesosTimers, FollowTheSession) {
  auto timers =
      timers_with(R"({"flags":{"zk_session_timeout":"4secs","agent_ping_timeout":"1secs",)"
                  R"("max_agent_ping_timeouts":"5"}})",
                  R"({"flags":{"zk_session_timeout":"4secs"}})", "2000\n");
  EXPECT_EQ(timers["unreachable_min"].seconds, 4);
  EXPECT_EQ(timers["leader_exit_max"].seconds, 12 + 4 + 3);
  EXPECT_EQ(timers["reregister_max"].seconds, 60 + 2 + 1 + 3);
  EXPECT_NEAR(timers["safe_cut_max"].seconds, 3.0, 1e-9);
}

TEST(MesosTimers, SafeCutsEndWithTheLastRetransmission) {
  EXPECT_NEAR(safe_cut(75, 120), 51, 1e-9);
  EXPECT_NEAR(safe_cut(300, 120), 204.6, 1e-9);
  EXPECT_NEAR(safe_cut(5, 120), 3, 1e-9);
  EXPECT_NEAR(safe_cut(5.5, 2), 5, 1e-9) << "0.2, 0.6, 1.4, 3, then each 2 s";
  EXPECT_EQ(safe_cut(0.1, 120), 0);
}

TEST(MesosTimers, TakeZooKeepersTimersFromOptionsWhereNobodyTellsThem) {
  Cluster cluster = mesos_cluster();
  cluster.systems.pop_back();
  cluster.systems[0].options = {{"zk_tick_ms", "500"}, {"zk_sync_limit", "4"}};
  const auto adapter = adapter_of(cluster);
  tell_mesos_timers(*adapter, "mesos", R"({"flags":{}})", R"({"flags":{}})", "");
  const auto exit = adapter->timers()["leader_exit_max"];
  EXPECT_NEAR(exit.seconds, 20.0 / 3 + 10 + 3, 1e-9) << "2S/3 outlasts (4 + 1) x 0.5 s";
  EXPECT_NE(exit.derivation.find("options"), std::string::npos);
}

}  // namespace
}  // namespace zq::test
