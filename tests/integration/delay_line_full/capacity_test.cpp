// How much goes through a delay line, and how exact it stays while others want the CPUs. What is
// required stands at each assertion; where only the machine's other work can be the cause of a bad
// number, the measurement is taken once more.
#include "tests/integration/delay_line/bulk_transfer.h"
#include "tests/integration/delay_line/line_nodes.h"
#include "tests/integration/delay_line/one_way.h"
#include "tests/integration/delay_line_full/busy.h"

namespace zq::test {
namespace {

class DelayLineCapacity : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] const char* from() const { return GetParam() ? LineNodes::kA6 : LineNodes::kA4; }
  [[nodiscard]] const char* to() const { return GetParam() ? LineNodes::kB6 : LineNodes::kB4; }
  LineNodes nodes;
};

TEST_P(DelayLineCapacity, CarriesTcpAtSpeed) {
  nodes.start({});
  for (const auto& [delay, required] : {std::pair(1ms, 1500.0), std::pair(50ms, 500.0)}) {
    nodes.line->set_classes({line_class(1, delayed(delay))});
    BulkResult result;
    for (int attempt = 0; attempt < 2 && result.mbit_per_s < required; ++attempt) {
      result = BulkTransfer(nodes.a, nodes.b, to()).run(1s, 2s);
      EXPECT_TRUE(result.intact);
    }
    EXPECT_GE(result.mbit_per_s, required) << "Mbit/s at " << delay.count() << " ms";
    RecordProperty(fmt::format("mbit_per_s_at_{}ms", delay.count()),
                   static_cast<int>(result.mbit_per_s));
  }
  EXPECT_EQ(nodes.line->stats().send_errors, 0U);
  EXPECT_EQ(nodes.line->stats().overflowed, 0U);
}

TEST_P(DelayLineCapacity, StaysExactWhileSixProcessesCompete) {
  const double floor = measure_one_way(nodes.a, from(), nodes.b, to()).median();
  nodes.start({line_class(1, delayed(50ms))});
  const BusyProcesses busy(6);
  OneWayPlan plan;
  plan.packets = 2000;
  plan.interval = 1ms;
  double median = 1e9, late = 1e9;
  for (int attempt = 0; attempt < 2 && (median > 0.3 || late > 2.0); ++attempt) {
    const OneWay got = measure_one_way(nodes.a, from(), nodes.b, to(), plan);
    EXPECT_EQ(got.lost(), 0U);
    EXPECT_GE(got.quantile(0), 50);
    median = got.median() - floor - 50;
    late = got.quantile(0.99) - floor - 50;
  }
  EXPECT_LE(median, 0.3);
  EXPECT_LE(late, 2.0);
  RecordProperty("median_error_us", static_cast<int>(median * 1e3));
  RecordProperty("p99_error_us", static_cast<int>(late * 1e3));
}

TEST_P(DelayLineCapacity, LosesNoneOf50000SmallPacketsASecond) {
  nodes.start({line_class(1, delayed(10ms))});
  constexpr int kBurst = 50, kBursts = 3000;  // one a millisecond
  const UdpSocket source(nodes.a, from(), 7001), sink(nodes.b, to(), 7000);
  const SocketAddress target(to(), 7000);
  std::atomic<std::uint64_t> received{0};
  std::atomic<bool> stop{false};
  std::thread receiver([&] {
    while (!stop) {
      received += sink.drain();
      std::this_thread::sleep_for(1ms);
    }
  });
  const MonoTime begin = mono_now();
  std::thread sender([&] {
    const sched_param priority{5};  // below the line's: the load is what is asked for
    (void)::sched_setscheduler(0, SCHED_FIFO, &priority);
    for (int burst = 0; burst < kBursts; ++burst) {
      for (int i = 0; i < kBurst; ++i) EXPECT_EQ(source.send(target, "small", 5), 0);
      std::this_thread::sleep_until(begin + (burst + 1) * Nanos(1ms));
    }
  });
  sender.join();
  const double seconds = to_seconds(mono_now() - begin);
  EXPECT_TRUE(wait_until([&] { return received == kBursts * kBurst; }, 3s));
  stop = true;
  receiver.join();
  EXPECT_EQ(received, static_cast<std::uint64_t>(kBursts * kBurst));
  EXPECT_GE(kBursts * kBurst / seconds, 49'000) << "this machine cannot even send as many";
  EXPECT_EQ(nodes.line->stats().overflowed, 0U);
}

INSTANTIATE_TEST_SUITE_P(Families, DelayLineCapacity, ::testing::Bool(),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace zq::test
