// The delay line against the plain path between the same two namespaces, in one run: how long a
// packet takes, and how much TCP goes through.
#include <cstdio>

#include "tests/integration/delay_line/bulk_transfer.h"
#include "tests/integration/delay_line/line_nodes.h"
#include "tests/integration/delay_line/one_way.h"

namespace zq::test {
namespace {

OneWay one_way(const LineNodes& nodes) {
  OneWayPlan plan;
  plan.packets = 1000;
  plan.interval = 1ms;
  return measure_one_way(nodes.a, LineNodes::kA4, nodes.b, LineNodes::kB4, plan);
}

double mbit_per_s(const LineNodes& nodes) {
  return BulkTransfer(nodes.a, nodes.b, LineNodes::kB4).run(1s, 2s).mbit_per_s;
}

void print(const char* name, double asked_ms, const OneWay& latency, double throughput,
           double plain_throughput) {
  std::printf("%-18s %8.3f %8.3f %8.3f %8.3f %8zu %9.0f %7.2f\n", name, latency.median() - asked_ms,
              latency.quantile(0.9) - asked_ms, latency.quantile(0.99) - asked_ms,
              latency.quantile(1) - asked_ms, latency.lost(), throughput,
              throughput / plain_throughput);
}

void run() {
  std::printf(
      "one-way time beyond the asked delay in ms, packets lost, TCP in Mbit/s and against "
      "the plain path\n%-18s %8s %8s %8s %8s %8s %9s %7s\n",
      "", "p50", "p90", "p99", "max", "lost", "Mbit/s", "ratio");
  LineNodes nodes;
  const OneWay plain = one_way(nodes);
  const double plain_throughput = mbit_per_s(nodes);
  print("plain", 0, plain, plain_throughput, plain_throughput);
  nodes.start({});
  for (const Nanos delay : {0ms, 1ms, 10ms, 50ms}) {
    nodes.line->set_classes({line_class(1, delayed(delay))});
    const OneWay latency = one_way(nodes);
    print(("line, " + format_duration(delay)).c_str(), to_seconds(delay) * 1e3, latency,
          mbit_per_s(nodes), plain_throughput);
  }
  std::printf("real-time scheduling: %s; worst lateness of a packet: %s\n",
              nodes.line->stats().realtime ? "granted" : "not granted",
              format_duration(nodes.line->stats().worst_lateness).c_str());
}

}  // namespace
}  // namespace zq::test

int main() {
  try {
    zq::test::run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}
