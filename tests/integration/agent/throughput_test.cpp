// TCP goodput between agents.
#include "agent/throughput.h"

#include <thread>

#include "tests/integration/agent/agent_fixture.h"

namespace zq::test {
namespace {

// Two nodes; what `a` sends is capped by a queue of the test's own.
class GoodputTest : public testing::Test {
 protected:
  GoodputTest() {
    connect_veth(a_, "up0", b_, "up0");
    for (const auto& [node, last] : {std::pair(&a_, 1), {&b_, 2}}) {
      add_address(*node, "up0", fmt::format("10.66.0.{}/24", last));
      add_address(*node, "up0", fmt::format("fd66::{}/64", last));
    }
    a_.tc("qdisc add dev up0 root handle 1: htb default 1");
  }
  static IpAddress address(const std::string& text) { return value_of(IpAddress::parse(text)); }
  static std::unique_ptr<Throughput> start(const TestNetns& node, int last,
                                           const std::string& run = "run") {
    return node.run([&] {
      return value_of(Throughput::start(
          run, {address(fmt::format("10.66.0.{}", last)), address(fmt::format("fd66::{}", last))},
          kProbePort));
    });
  }
  void cap(const std::string& rate) const {
    a_.tc(fmt::format(
        "class replace dev up0 parent 1: classid 1:1 htb rate {} burst 16k quantum 1514", rate));
  }

  TestNetns a_, b_;
};

double megabits(const Goodput& goodput) {
  if (goodput.took <= Nanos{0}) return 0;
  return static_cast<double>(goodput.bytes) * 8e-6 / to_seconds(goodput.took);
}

TEST_F(GoodputTest, IsCloseBelowTheCapAlsoWhereItIsLow) {
  const auto from = start(a_, 1);
  const auto to = start(b_, 2);
  for (const auto& [rate, length] : {std::pair(1.0, 3000ms), {10.0, 1000ms}, {100.0, 1000ms}}) {
    cap(fmt::format("{}mbit", rate));
    for (const std::string peer : {"10.66.0.2", "fd66::2"}) {
      if (rate < 10 && peer != "fd66::2") continue;  // takes long enough once
      // A machine that stands still for a moment makes one measurement too low, never too high.
      Goodput goodput;
      for (int attempt = 0; attempt < 4 && megabits(goodput) <= 0.9 * rate; ++attempt) {
        goodput = value_of(from->measure(address(peer), length));
        fmt::print("{} Mbit/s to {}: {:.3f} in {}\n", rate, peer, megabits(goodput),
                   format_duration(goodput.took));
        EXPECT_LE(megabits(goodput), rate);
      }
      EXPECT_GT(megabits(goodput), 0.9 * rate);
      EXPECT_GT(goodput.took, length / 3);
      EXPECT_LE(goodput.took, length);
    }
  }
}

TEST_F(GoodputTest, IsRefusedOrEndedWhereItCannotBe) {
  const auto from = start(a_, 1);
  {
    const auto stranger = start(b_, 2, "another run");
    const auto refused = from->measure(address("10.66.0.2"), 500ms);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, testing::HasSubstr("is the same run armed"));
  }
  const auto nobody = from->measure(address("10.66.0.2"), 500ms);
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, ErrorCode::kUnavailable) << nobody.error().message;
  EXPECT_EQ(from->measure(address("10.66.0.2"), 1ms).error().code, ErrorCode::kInput);

  const auto to = start(b_, 2);
  Result<Goodput> result;
  std::jthread measuring([&] {
    do {
      result = from->measure(address("10.66.0.2"), 30s);
    } while (!result && result.error().code == ErrorCode::kRefused);
  });
  ASSERT_TRUE(wait_until([&] {
    const auto second = from->measure(address("10.66.0.2"), 100ms);
    return !second && second.error().code == ErrorCode::kRefused;
  })) << "one at a time";
  from->cancel();
  measuring.join();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(from->measure(address("10.66.0.2"), 200ms)) << "a later one may be made";
  from->stop();
  EXPECT_EQ(from->measure(address("10.66.0.2"), 200ms).error().code, ErrorCode::kCancelled);
}

TEST(AgentThroughput, IsMeasuredWhileTheNodeGoesOnAndEndsWithTheRun) {
  Fleet fleet(2);
  fleet.arm();
  zonequake::ThroughputRequest request;
  *request.mutable_run() = fleet.run();
  request.set_address(write_address(*IpAddress::parse(fleet[1].v6())));
  request.set_milliseconds(400);
  const auto measure = &zonequake::Agent::Stub::MeasureThroughput;
  const auto good = fleet[0].call(measure, request);
  ASSERT_EQ(good.code(), kOk) << good.status.error_message();
  EXPECT_GT(good.reply.bytes(), 1'000'000U);
  EXPECT_GT(good.reply.took_ns(), 0);

  auto longer = request;
  longer.set_milliseconds(9'000);
  Answer<zonequake::ThroughputReply> ended;
  std::jthread measuring([&] {
    do {
      ended = fleet[0].call(measure, longer);
    } while (ended.code() == kPrecondition);
  });
  request.set_milliseconds(100);
  ASSERT_TRUE(wait_until([&] { return fleet[0].call(measure, request).code() == kPrecondition; }));
  EXPECT_EQ(fleet[0].paths(fleet.run()).code(), kOk) << "others are not kept waiting";
  EXPECT_EQ(fleet[0].disarm(fleet.run()).code(), kOk);
  measuring.join();
  EXPECT_EQ(ended.code(), grpc::StatusCode::CANCELLED) << ended.status.error_message();
  EXPECT_EQ(fleet[0].call(measure, request).code(), kPrecondition);
}

TEST(AgentCapabilities, AreAllNamedWithWhatFollows) {
  Fleet fleet(1);
  const auto described = fleet[0].describe();
  ASSERT_EQ(described.code(), kOk);
  std::vector<std::string> names;
  std::map<std::string, bool> present;
  for (const auto& capability : described.reply.capabilities()) {
    names.push_back(capability.name());
    present[capability.name()] = capability.present();
    EXPECT_FALSE(capability.text().empty());
  }
  EXPECT_THAT(names, testing::ElementsAre("gate", "reject", "ifb", "htb", "netem", "delay-line",
                                          "freezer", "systemd"));
  for (const std::string name : {"gate", "reject", "freezer"}) EXPECT_TRUE(present[name]) << name;
  const MonoTime asked = mono_now();
  EXPECT_EQ(fleet[0].describe().reply.capabilities_size(), described.reply.capabilities_size());
  EXPECT_LT(mono_now() - asked, 1s) << "what is costly is tried once";
}

}  // namespace
}  // namespace zq::test
