// Two nodes on one link: `a` (group 0) carries the gate, `b` (group 1) is its peer.
#pragma once

#include <string>
#include <vector>

#include "agent/dataplane/gate.h"
#include "tests/integration/support/netns_fixture.h"

namespace zq::test {

using namespace std::chrono_literals;

inline IpPrefix prefix(const std::string& text) { return value_of(IpPrefix::parse(text)); }

struct TwoNodes {
  static constexpr const char* kA4 = "10.66.0.1";
  static constexpr const char* kB4 = "10.66.0.2";
  static constexpr const char* kA6 = "fd66::1";
  static constexpr const char* kB6 = "fd66::2";

  TestNetns a, b;
  TempDir state;

  TwoNodes() {
    connect_veth(a, "up0", b, "up0");
    for (const auto& [node, v4, v6] : {std::tuple(&a, kA4, kA6), std::tuple(&b, kB4, kB6)}) {
      add_address(*node, "up0", std::string(v4) + "/24");
      add_address(*node, "up0", std::string(v6) + "/64");
    }
  }

  [[nodiscard]] GateConfig config() const {
    GateConfig config;
    config.own_group = 0;
    config.groups = 2;
    config.book = {{prefix(kA4), 0}, {prefix(kA6), 0}, {prefix(kB4), 1}, {prefix(kB6), 1}};
    config.uplinks = {{"up0", a.device_index("up0")}};
    return config;
  }
  [[nodiscard]] Result<Gate> try_attach(const GateConfig& with) const {
    return a.run([&] { return Gate::attach(with, state.path()); });
  }
  [[nodiscard]] Gate attach() const { return attach(config()); }
  [[nodiscard]] Gate attach(const GateConfig& with) const { return value_of(try_attach(with)); }
};

inline GateRule rule(FlowDirection direction, std::uint32_t group, MonoTime from, MonoTime until) {
  return {direction, group, {{from, until}}};
}

// Drops everything between the node and the group from now on.
inline GateProgramme cut(std::uint32_t group, Nanos length = 60s) {
  const MonoTime now = mono_now();
  return {.rules = {rule(FlowDirection::kEgress, group, now, now + length),
                    rule(FlowDirection::kIngress, group, now, now + length)},
          .impairments = {}};
}

inline GateCounter counter(const Gate& gate, FlowDirection direction, std::uint32_t group) {
  for (const GateCounter& counter : value_of(gate.counters())) {
    if (counter.direction == direction && counter.group == group) return counter;
  }
  throw std::runtime_error("no such counter");
}

inline WindowEvidence evidence(const Gate& gate, FlowDirection direction, std::uint32_t group) {
  for (const WindowEvidence& found : value_of(gate.evidence())) {
    if (found.direction == direction && found.group == group) return found;
  }
  throw std::runtime_error("no such evidence");
}

}  // namespace zq::test
