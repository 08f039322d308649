// Every form of fault that an experiment file can hold, as the plan is given it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <filesystem>
#include <fstream>

#include "experiments/fault_parse.h"
#include "experiments/presets.h"
#include "experiments/quantity.h"
#include "tests/unit/experiments/test_files.h"

namespace zq {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

Fault fault_of(const std::string& keys, const std::string& path = "x.toml") {
  const std::string text =
      "title = 't'\ncaveat = 'T1-C4'\n[[phase]]\nname = 'baseline'\nlasts = '5s'\n"
      "[[phase]]\nname = 'one'\nlasts = '5s'\n[[phase.fault]]\n" +
      keys +
      "\n[[phase]]\nname = 'two'\nlasts = '5s'\n[[phase]]\nname = 'recovery'\nlasts = '5s'\n"
      "[[expect]]\nid = 'x'\nduring = 'recovery'\nnever = 'sum(master.leads) > 1'\n";
  const auto experiment = parse_experiment(text, path);
  EXPECT_TRUE(experiment) << experiment.error().message;
  if (!experiment) return {};
  const Status status = check_against(*experiment, testing_files::example_cluster());
  EXPECT_TRUE(status) << status.error().message;
  return experiment->phases[1].faults.front();
}

Fault impair(const std::string& keys, const std::string& path = "x.toml") {
  return fault_of("kind = 'impair'\nbetween = ['zone:a', 'zone:b']\n" + keys, path);
}

TEST(FaultForms, PartitionsHaveTwoOrMoreSidesAScopeAndTimes) {
  const Fault fault = fault_of(
      "kind = 'partition'\nbetween = ['zone:a', 'zone:b', 'zone:c']\nreject = true\n"
      "protocol = 'tcp'\nports = '3000-3888, 2181,2888-3001,2182'\nafter = '1s'\nthrough = 'two'\n"
      "flap = { period = '10s', duty = '30%' }");
  EXPECT_EQ(fault.kind, FaultKind::kPartition);
  EXPECT_EQ(fault.a.text(), "zone:a");
  EXPECT_EQ(fault.b.text(), "zone:b");
  ASSERT_EQ(fault.more.size(), 1U);
  EXPECT_EQ(fault.more[0].text(), "zone:c");
  EXPECT_TRUE(fault.reject);
  EXPECT_EQ(fault.scope.protocol, IPPROTO_TCP);
  EXPECT_THAT(fault.scope.ports, ElementsAre(PortRange{2181, 2182}, PortRange{2888, 3888}));
  EXPECT_EQ(fault.after, 1s);
  EXPECT_EQ(fault.through, "two");
  EXPECT_EQ(fault.period, 10s);
  EXPECT_EQ(fault.on, 3s);
  EXPECT_FALSE(fault.lasts);
}

TEST(FaultForms, SidePortsAreThoseOfTheSides) {
  const Fault fault = fault_of(
      "kind = 'one-way'\nfrom = 'zone:a'\nto = 'zone:b'\nside_ports = ['5050', '']\nlasts = '2s'");
  EXPECT_EQ(fault.kind, FaultKind::kOneWay);
  EXPECT_TRUE(fault.one_way);
  EXPECT_THAT(fault.scope.source_ports, ElementsAre(PortRange{5050, 5050}));
  EXPECT_TRUE(fault.scope.destination_ports.empty());
  EXPECT_EQ(fault.lasts, Nanos(2s));
  EXPECT_EQ(
      fault_of("kind = 'partition'\nbetween = ['zone:a', 'zone:b']\nprotocol = 47").scope.protocol,
      47);
}

TEST(FaultForms, FaultsOfProcesses) {
  for (const auto& [kind, value] :
       {std::pair("kill", FaultKind::kKill), std::pair("stop", FaultKind::kStop),
        std::pair("pause", FaultKind::kPause), std::pair("restart", FaultKind::kRestart)}) {
    const Fault fault = fault_of(
        fmt::format("kind = '{}'\nnodes = 'zone:b'\nsystem = 'swarm'\nafter = '1s'", kind));
    EXPECT_EQ(fault.kind, value);
    EXPECT_EQ(fault.a.text(), "zone:b");
    EXPECT_EQ(fault.system, "swarm");
    EXPECT_TRUE(fault.of_processes());
    EXPECT_EQ(to_string(value), kind);
  }
  EXPECT_EQ(fault_of("kind = 'zone-down'\nnodes = 'zone:b'").kind, FaultKind::kZoneDown);
  EXPECT_EQ(fault_of("kind = 'hook'\nnodes = 'zone:b'\nhook = 'power'").hook, "power");
}

TEST(FaultForms, AnImpairmentWithEverything) {
  const Fault fault = impair(
      "delay = '50ms'\njitter = '5ms'\ncorrelation = '25%'\ndistribution = 'paretonormal'\n"
      "loss = { p = '1%', correlation = 0.5 }\nduplicate = 0.01\ncorrupt = '0.1%'\n"
      "reorder = '25%'\nrate = '1.5gbit'");
  ASSERT_EQ(fault.impairments.size(), 1U);
  const Impairment& one = fault.impairments.front();
  EXPECT_FALSE(fault.one_way);
  EXPECT_EQ(one.delay, 50ms);
  EXPECT_EQ(one.jitter, 5ms);
  EXPECT_DOUBLE_EQ(one.delay_correlation, 0.25);
  EXPECT_EQ(one.distribution, Distribution::kParetoNormal);
  EXPECT_EQ(one.loss, (LossModel{LossModel::Kind::kRandom, {0.01, 0.5}}));
  EXPECT_DOUBLE_EQ(one.duplicate, 0.01);
  EXPECT_DOUBLE_EQ(one.corrupt, 0.001);
  EXPECT_DOUBLE_EQ(one.reorder, 0.25);
  EXPECT_EQ(one.rate_bps, 1'500'000'000U);
}

TEST(FaultForms, OneWayImpairmentsRoundTripsAndCrossSections) {
  const Fault fault = fault_of(
      "kind = 'impair'\nfrom = 'zone:a'\nto = 'zone:b'\nrtt = '100ms'\ncross_section = '1gbit'");
  EXPECT_TRUE(fault.one_way);
  EXPECT_EQ(fault.impairments.front().delay, 50ms);
  EXPECT_EQ(fault.impairments.front().rate_bps, 0U);
  EXPECT_EQ(fault.cross_section_bps, 1'000'000'000U);
  // A cross section alone is enough.
  EXPECT_EQ(impair("cross_section = '10mbit'").cross_section_bps, 10'000'000U);
}

TEST(FaultForms, LossModels) {
  using Kind = LossModel::Kind;
  const auto loss = [](const std::string& text) {
    return impair("loss = " + text).impairments.front().loss;
  };
  EXPECT_EQ(loss("0.01"), (LossModel{Kind::kRandom, {0.01}}));
  EXPECT_EQ(loss("1"), (LossModel{Kind::kRandom, {1}}));
  EXPECT_EQ(loss("{ model = 'gilbert-elliott', p = '1%', r = '20%' }"),
            (LossModel{Kind::kGilbertElliott, {0.01, 0.2, 1, 0}}));
  EXPECT_EQ(loss("{ model = 'gilbert-elliott', p = '1%', r = '20%', bad = '50%', good = 0.25 }"),
            (LossModel{Kind::kGilbertElliott, {0.01, 0.2, 0.5, 0.25}}));
  EXPECT_EQ(loss("{ model = '4-state', p13 = '5%', p31 = '30%', p14 = '1%' }"),
            (LossModel{Kind::kFourState, {0.05, 0.3, 0, 1, 0.01}}));
}

TEST(FaultForms, RampsAreListsOrLinear) {
  const Fault list = impair("delay = ['10ms', '100ms', '500ms']\nloss = ['0%', '1%', '2%']");
  ASSERT_EQ(list.impairments.size(), 3U);
  EXPECT_EQ(list.impairments[0].delay, 10ms);
  EXPECT_EQ(list.impairments[0].loss, LossModel{});
  EXPECT_EQ(list.impairments[2].delay, 500ms);
  EXPECT_DOUBLE_EQ(list.impairments[2].loss.expected(), 0.02);

  const Fault linear =
      impair("rtt = { from = '20ms', to = '120ms', steps = 6 }\nrate = '1mbit'\njitter = '2ms'");
  ASSERT_EQ(linear.impairments.size(), 6U);
  for (std::size_t step = 0; step < 6; ++step) {
    EXPECT_EQ(linear.impairments[step].delay, 10ms + step * 10ms);
    EXPECT_EQ(linear.impairments[step].rate_bps, 1'000'000U);
    EXPECT_EQ(linear.impairments[step].jitter, 2ms);
  }
  const Fault falling = impair("rate = { from = '100mbit', to = '10mbit', steps = 10 }");
  EXPECT_EQ(falling.impairments[9].rate_bps, 10'000'000U);
  EXPECT_EQ(falling.impairments[1].rate_bps, 90'000'000U);
}

TEST(FaultForms, PresetsAreOverriddenKeyByKey) {
  const Fault region = impair("preset = 'inter-region'");
  EXPECT_EQ(region.impairments.front().delay, 250ms);
  EXPECT_EQ(region.impairments.front().rate_bps, 0U);
  EXPECT_EQ(region.cross_section_bps, 10'000'000U);
  const Fault zone = impair("preset = 'intra-zone'");
  EXPECT_EQ(zone.impairments.front().delay, 500us);
  EXPECT_EQ(zone.impairments.front().rate_bps, 1'000'000'000U);
  EXPECT_EQ(zone.cross_section_bps, 0U);
  const Fault changed =
      impair("preset = 'inter-region'\nrtt = '100ms'\nrate = '1mbit'\nloss = 0.1");
  EXPECT_EQ(changed.impairments.front().delay, 50ms);
  EXPECT_EQ(changed.impairments.front().rate_bps, 1'000'000U);
  EXPECT_EQ(changed.cross_section_bps, 0U);
  for (const Preset& preset : presets()) EXPECT_THAT(describe_presets(), HasSubstr(preset.name));
}

TEST(FaultForms, DistributionsFromATable) {
  const std::string folder = testing::TempDir() + "zq-distribution-test";
  std::filesystem::create_directories(folder);
  const std::string table = folder + "/my.dist";
  std::ofstream(table) << "# a comment, 1 2 3\n -32768 -5 0\n 1 2 3 4 5 6 7 8 9\n10 11 12 # more\n"
                       << "32767\n";
  const std::string keys = "delay = '5ms'\njitter = '1ms'\ndistribution = './my.dist'";
  const Impairment one = impair(keys, folder + "/x.toml").impairments.front();
  EXPECT_EQ(one.distribution, Distribution::kCustom);
  EXPECT_THAT(one.table, ElementsAre(-32768, -5, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 32767));
  const auto refused = [&](const std::string& content) {
    std::ofstream(table) << content;
    const auto experiment = parse_experiment(
        "[[phase]]\n[[phase.fault]]\nkind = 'impair'\nbetween = ['all', 'all']\n" + keys,
        folder + "/x.toml");
    return experiment ? "" : experiment.error().message;
  };
  EXPECT_THAT(refused("1 2\n3 40000\n"), HasSubstr("my.dist: line 2 holds something else"));
  EXPECT_THAT(refused("1 2\nx"), HasSubstr("my.dist: line 2 holds something else"));
  EXPECT_THAT(refused("1 2 3"), HasSubstr("table has 3 values; expected 16 to 16384"));
  std::filesystem::remove_all(folder);
}

TEST(FaultForms, WhatARunVerifies) {
  const std::string text = testing_files::read("example_experiment.toml");
  const Experiment plain = testing_files::example_experiment();
  EXPECT_FALSE(plain.verify.throughput);
  EXPECT_EQ(plain.verify.delay_tolerance, 5ms);
  const auto verified = parse_experiment(
      testing_files::with(text, "[select]",
                          "[verify]\nthroughput = true\ndelay_tolerance = '2ms'\n[select]"),
      "x.toml");
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_TRUE(verified->verify.throughput);
  EXPECT_EQ(verified->verify.delay_tolerance, 2ms);
}

TEST(ClusterFile, HooksAndLinksAndProcesses) {
  const Cluster cluster = testing_files::example_cluster();
  ASSERT_EQ(cluster.hooks.size(), 1U);
  EXPECT_THAT(cluster.hooks[0].run, ElementsAre("/usr/local/sbin/ipmi", "{name}", "off"));
  EXPECT_EQ(cluster.hooks[0].timeout, 10s);
  ASSERT_TRUE(cluster.testbed);
  ASSERT_EQ(cluster.testbed->links.size(), 2U);
  const TestbedLink& regions = cluster.testbed->links[0];
  EXPECT_EQ(regions.a, "west");
  EXPECT_EQ(regions.impairment.delay, 120ms);
  EXPECT_EQ(regions.impairment.rate_bps, 10'000'000U);
  const TestbedLink& zones = cluster.testbed->links[1];
  EXPECT_EQ(zones.impairment.delay, 15ms);
  EXPECT_EQ(zones.impairment.distribution, Distribution::kNormal);
  const auto processes =
      parse_cluster(testing_files::read("example_process_cluster.toml"), "processes.toml");
  ASSERT_TRUE(processes) << processes.error().message;
  EXPECT_EQ(processes->systems[0].unit, "etcd.service");
  EXPECT_EQ(processes->systems[2].cgroup, "system.slice/etcd");
  EXPECT_FALSE(processes->find_node("m5")->has_agent());
  EXPECT_TRUE(processes->find_node("m4")->has_agent());
}

TEST(Quantity, RatesAndShares) {
  EXPECT_EQ(*parse_rate("9600bit"), 9600U);
  EXPECT_EQ(*parse_rate("64 kbit"), 64'000U);
  EXPECT_EQ(*parse_rate("0.5mbit"), 500'000U);
  EXPECT_EQ(*parse_rate("100gbit"), 100'000'000'000U);
  for (const char* bad : {"", "mbit", "1", "1Mbit", "-1mbit", "1e3mbit", "7999bit", "nanbit"}) {
    EXPECT_FALSE(parse_rate(bad)) << bad;
  }
  EXPECT_DOUBLE_EQ(*parse_probability("0.5%"), 0.005);
  EXPECT_DOUBLE_EQ(*parse_probability("1"), 1);
  for (const char* bad : {"", "%", "1.5", "101%", "-1%", "1 percent", "nan", "inf%"}) {
    EXPECT_FALSE(parse_probability(bad)) << bad;
  }
}

}  // namespace
}  // namespace zq
