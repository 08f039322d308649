// Two nodes on one link; packets from `a` to `b` go through a delay line.
#pragma once

#include <fstream>
#include <memory>
#include <vector>

#include "agent/dataplane/delay_line.h"
#include "tests/integration/delay_line/steering.h"

namespace zq::test {

using namespace std::chrono_literals;

inline QueueClass line_class(std::uint16_t id, const Impairment& impairment) {
  QueueClass queue;
  queue.id = id;
  queue.impairment = impairment;
  return queue;
}
inline Impairment delayed(Nanos delay, Nanos jitter = {},
                          Distribution distribution = Distribution::kUniform) {
  Impairment impairment;
  impairment.delay = delay;
  impairment.jitter = jitter;
  impairment.distribution = distribution;
  return impairment;
}

struct LineNodes {
  static constexpr const char* kA4 = "10.66.0.1";
  static constexpr const char* kB4 = "10.66.0.2";
  static constexpr const char* kA6 = "fd66::1";
  static constexpr const char* kB6 = "fd66::2";

  TestNetns a, b;
  LivenessMap liveness;
  SteeringProgram steering{liveness};
  std::unique_ptr<DelayLine> line;

  LineNodes() {
    connect_veth(a, "up0", b, "up0");
    for (const auto& [node, v4, v6] : {std::tuple(&a, kA4, kA6), std::tuple(&b, kB4, kB6)}) {
      add_address(*node, "up0", std::string(v4) + "/24");
      add_address(*node, "up0", std::string(v6) + "/64");
      // Room for what is under way at 50 ms.
      node->run([] {
        for (const char* setting : {"tcp_rmem", "tcp_wmem"}) {
          std::ofstream(fmt::format("/proc/sys/net/ipv4/{}", setting)) << "4096 1048576 67108864";
        }
      });
    }
  }
  [[nodiscard]] DelayLine::Options options() const {
    DelayLine::Options options;
    options.uplinks = {{"up0", a.device_index("up0")}};
    options.liveness_map_fd = liveness.fd();
    return options;
  }
  [[nodiscard]] Result<std::unique_ptr<DelayLine>> try_start(const DelayLine::Options& with) const {
    return a.run([&] { return DelayLine::start(with); });
  }
  // Starts the line; all packets from `a` are steered into it from now on.
  void start(const std::vector<QueueClass>& classes) { start(classes, options()); }
  void start(const std::vector<QueueClass>& classes, const DelayLine::Options& with) {
    line = value_of(try_start(with));
    line->set_classes(classes);
    steer(line->device_index());
  }
  void steer(unsigned line_index, const std::string& uplink = "up0") const {
    a.run([&] {
      NetlinkSocket socket = value_of(NetlinkSocket::open());
      steering.attach(socket, {uplink, a.device_index(uplink)}, line_index);
    });
  }
};

}  // namespace zq::test
