// Bulk data without end between agents: follows a cap, says zero in a cut, comes back after it.
#include "agent/probe/bulk.h"

#include <nlohmann/json.hpp>

#include "agent/throughput.h"
#include "tests/integration/agent/agent_fixture.h"

namespace zq::test {
namespace {

class BulkTest : public testing::Test {
 protected:
  BulkTest() {
    connect_veth(a_, "up0", b_, "up0");
    for (const auto& [node, last] : {std::pair(&a_, 1), {&b_, 2}}) {
      add_address(*node, "up0", fmt::format("10.66.0.{}/24", last));
      add_address(*node, "up0", fmt::format("fd66::{}/64", last));
    }
    a_.tc("qdisc add dev up0 root handle 1: htb default 1");
    cap("1gbit");
  }
  static IpAddress address(const std::string& text) { return value_of(IpAddress::parse(text)); }
  std::unique_ptr<Throughput> take(const std::string& run = "run") const {
    return b_.run([&] {
      return value_of(
          Throughput::start(run, {address("10.66.0.2"), address("fd66::2")}, kProbePort));
    });
  }
  std::unique_ptr<RunningWorkload> send(unsigned streams, std::uint64_t rate_bps,
                                        bool v4 = true) const {
    zonequake::BulkProbe probe;
    const auto put = [](const IpAddress& from) {
      return std::string(from.bytes().begin(), from.bytes().end());
    };
    probe.set_run("run");
    probe.set_from(put(address(v4 ? "10.66.0.1" : "fd66::1")));
    probe.set_to(put(address(v4 ? "10.66.0.2" : "fd66::2")));
    probe.set_port(kProbePort);
    probe.set_streams(streams);
    probe.set_rate_bps(rate_bps);
    return a_.run([&] { return value_of(start_bulk(probe)); });
  }
  void cap(const std::string& rate) const {
    a_.tc(fmt::format(
        "class replace dev up0 parent 1: classid 1:1 htb rate {} burst 16k quantum 1514", rate));
  }
  // One second's report after another until one is as wanted.
  static bool reports(RunningWorkload& workload,
                      const std::function<bool(double, unsigned)>& wanted) {
    for (int second = 0; second < 12; ++second) {
      std::this_thread::sleep_for(1s);  // what a report is about
      const auto report = nlohmann::json::parse(workload.report());
      fmt::print("{}\n", report.dump());
      if (wanted(report.at("mbps").get<double>(), report.at("streams").get<unsigned>()))
        return true;
    }
    return false;
  }
  static auto around(double mbps, unsigned streams) {
    return [mbps, streams](double seen, unsigned flowing) {
      return flowing == streams && seen > 0.85 * mbps && seen < 1.05 * mbps;
    };
  }

  TestNetns a_, b_;
};

TEST_F(BulkTest, FollowsTheCapAndItsOwnLimit) {
  const auto taking = take();
  const auto limited = send(2, 20'000'000, /*v4=*/false);
  EXPECT_TRUE(reports(*limited, around(20, 2))) << "its own limit, of both streams together";
  cap("5mbit");
  EXPECT_TRUE(reports(*limited, around(5, 2))) << "the cap";
  cap("1gbit");
  EXPECT_TRUE(reports(*limited, around(20, 2))) << "its own limit again";
}

TEST_F(BulkTest, SaysZeroInACutAndComesBackSoonAfterIt) {
  const auto taking = take();
  const auto sending = send(1, 20'000'000);
  ASSERT_TRUE(reports(*sending, around(20, 1)));
  b_.ip("link set up0 down");  // nothing arrives, and nobody says so
  EXPECT_TRUE(reports(*sending, [](double mbps, unsigned streams) {
    return mbps == 0 && streams == 0;
  })) << "after three seconds without an acknowledgement the stream is over";
  b_.ip("link set up0 up");
  EXPECT_TRUE(reports(*sending, around(20, 1)));
}

TEST_F(BulkTest, WaitsForTheSameRunToBeArmed) {
  auto taking = take("another run");
  const auto sending = send(1, 20'000'000);
  std::this_thread::sleep_for(2s);  // two tries
  const auto report = nlohmann::json::parse(sending->report());
  EXPECT_LT(report.at("bytes").get<int>(), 10'000'000);
  EXPECT_NE(report.at("last_error"), "");
  taking.reset();
  taking = take();
  EXPECT_TRUE(reports(*sending, around(20, 1)));
}

TEST_F(BulkTest, LeavesMeasurementsTheirTurn) {
  const auto taking = take();
  const auto measuring = a_.run(
      [&] { return value_of(Throughput::start("run", {address("10.66.0.1")}, kProbePort)); });
  const auto sending = send(4, 0);
  ASSERT_TRUE(
      reports(*sending, [](double mbps, unsigned streams) { return mbps > 50 && streams == 4; }));
  const Goodput goodput = value_of(measuring->measure(address("10.66.0.2"), 1000ms));
  EXPECT_GT(goodput.bytes, 0U);
}

TEST_F(BulkTest, RefusesWhatCannotBe) {
  zonequake::BulkProbe probe;
  EXPECT_EQ(start_bulk(probe).error().code, ErrorCode::kInput);
  probe.set_from(std::string(16, '\0'));
  probe.set_to(std::string(16, '\0'));
  EXPECT_EQ(start_bulk(probe).error().code, ErrorCode::kInput) << "no port";
}

}  // namespace
}  // namespace zq::test
