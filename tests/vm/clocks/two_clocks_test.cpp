// Two nodes on two kernels, whose monotonic clocks are far apart and drift: the fault begins on
// both at one instant, within the uncertainty that the run states.
#include <fmt/core.h>

#include <fstream>

#include "results/fault_start.h"
#include "tests/vm/clocks/guest.h"

namespace zq::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kHere = "10.66.1.1";
constexpr const char* kThere = "10.66.2.1";

std::string cluster_text(const std::string& here, const std::string& there) {
  return fmt::format(R"(name = "two-clocks"

[[region]]
name = "local"

[[region.zone]]
name = "a"
node = [{{ name = "a1", addresses = ["{}"], agent = "unix:{}" }}]

[[region.zone]]
name = "b"
node = [{{ name = "b1", addresses = ["{}"], agent = "unix:{}" }}]

[[exempt]]
protocol = "tcp"
port     = {}
why      = "the agent of b1 is reached over the link under test"

[[exempt]]
protocol = "udp"
port     = {}
why      = "the test compares the clocks"
)",
                     kHere, here, kThere, there, kAgentPort, kClockPort);
}

constexpr const char* kExperiment = R"(title  = "Zone b is cut off"
caveat = "T1-C2"
page   = "apps will continue to run in that zone"

[select]
cut = "zone:b"

[limits]
max_zones_cut = 1

[[phase]]
name  = "baseline"
lasts = "10s"

[[phase]]
name  = "partition"
lasts = "5s"
[[phase.fault]]
kind    = "partition"
between = ["cut", "!cut"]

[[phase]]
name  = "recovery"
lasts = "5s"

[[expect]]
id     = "cut-is-seen"
during = "partition"
eventually = "max(net.reachable{from=cut, to!=cut}) == 0"
within = "4s"

[[expect]]
id     = "healed"
during = "recovery"
eventually = "min(net.reachable) == 1"
within = "5s"
)";

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

class TwoClocks : public testing::TestWithParam<int> {};

TEST_P(TwoClocks, BeginWithinTheStatedUncertainty) {
  const int drift_ppm = GetParam();
  const TempDir dir;
  const TestNetns netns;
  netns.ip("tuntap add up0 mode tap");
  netns.ip("link set up0 up");
  add_address(netns, "up0", std::string(kHere) + "/16");
  const std::string here = dir.path() + "/a1.sock";
  const std::string there = dir.path() + "/b1.sock";
  Guest guest(netns, kThere, "b1", drift_ppm, there);
  const std::string agent = std::string(ZQ_BIN_DIR) + "/zonequake-agent";
  e2e::Running own({"/usr/bin/nsenter", "--net=/run/netns/" + netns.name(), "--", agent, "serve",
                    "--node", "a1", "--listen", "unix:" + here, "--state-dir", dir.path()});
  ASSERT_TRUE(own.wait_for_output("listens on", 30s)) << own.output();
  ASSERT_TRUE(guest.wait_until_up(120s)) << guest.output();
  ClockWatch watch(netns, kHere, kThere);

  write(dir.path() + "/cluster.toml", cluster_text(here, there));
  write(dir.path() + "/experiment.toml", kExperiment);
  // The first answer takes an emulated machine long: programs come over from this one page by page.
  e2e::Finished doctor;
  const auto answered = [&] { return doctor.out.find("\nb1\n  agent") != std::string::npos; };
  for (int attempt = 1; attempt <= 5 && !answered(); ++attempt) {
    doctor = e2e::run_to_end(
        {e2e::zonequake(), "doctor", "--cluster", dir.path() + "/cluster.toml"}, 60s);
  }
  ASSERT_TRUE(answered()) << doctor.out << doctor.err << guest.output();
  const std::string db = dir.path() + "/results.db";
  const auto done = e2e::run_to_end({e2e::zonequake(), "run", dir.path() + "/experiment.toml",
                                     "--cluster", dir.path() + "/cluster.toml", "--db", db},
                                    180s);
  watch.stop();
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err << guest.output();

  const Store store = value_of(Store::open(db));
  const RunRecord run = value_of(store.run(1));
  EXPECT_EQ(run.verdict, RunVerdict::kPassed) << run.reason;
  const MonoTime fault_at = mono_from_ns(run.fault_mono_ns.value());
  const auto truth = watch.offset_at(fault_at, 600);
  ASSERT_TRUE(truth);
  bool seen = false;
  for (const NodeRecord& node : value_of(store.nodes(1))) {
    if (node.name != "b1") continue;
    seen = true;
    // Both gates open at T on their node's clock, so b1's opens early or late by what the offset is
    // wrong.
    const Nanos taken{node.clock_offset_ns};
    const Nanos uncertainty{run.uncertainty_ns};
    fmt::print(
        "{} ppm: offset {:.6f} s +- {:.3f} ms; in truth between {:+.3f} and {:+.3f} ms of it\n",
        drift_ppm, to_seconds(taken), to_seconds(uncertainty) * 1e3,
        to_seconds(truth->low - taken) * 1e3, to_seconds(truth->high - taken) * 1e3);
    EXPECT_GT(std::abs(to_seconds(taken)), 2);
    EXPECT_LE(truth->low, truth->high);
    // The two intervals must overlap, and the measured one be narrow enough to tell.
    EXPECT_LE(truth->low - taken, uncertainty);
    EXPECT_GE(truth->high - taken, -uncertainty);
    EXPECT_LT(truth->high - truth->low, 3ms);
    EXPECT_LT(uncertainty, 10ms);
  }
  EXPECT_TRUE(seen);
  const FaultStart start = fault_start(fault_at, value_of(store.evidence(1)));
  fmt::print("{}\n", start.to_string());
  EXPECT_EQ(start.nodes.size(), 2U);
}
INSTANTIATE_TEST_SUITE_P(Drift, TwoClocks, testing::Values(500, -500), [](const auto& test) {
  return test.param < 0 ? fmt::format("Minus{}", -test.param) : fmt::format("Plus{}", test.param);
});

}  // namespace
}  // namespace zq::test
