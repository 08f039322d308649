// A border with an agent's data plane on one side only: node `a` carries the gate, `b` is bare.
// What goes from a to b is impaired at a's egress, what comes from b at a's ingress.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "agent/base/capability.h"
#include "agent/dataplane/capability_report.h"
#include "agent/dataplane/gate.h"
#include "tests/integration/dataplane/two_nodes.h"
#include "tests/vm/faults/bulk.h"
#include "tests/vm/faults/stream.h"
#include "tests/vm/faults/wire.h"

namespace zq::test {

[[nodiscard]] inline bool capable(const char* name) {
  static const std::vector<Capability> report = capability_report();
  return std::any_of(report.begin(), report.end(), [&](const Capability& capability) {
    return capability.name == name && capability.present;
  });
}
// Delays come out of the kernel here, to a tenth of a millisecond; else out of the delay line.
[[nodiscard]] inline bool has_netem() { return capable(capability::kNetem); }

struct Path {
  FlowDirection direction = FlowDirection::kEgress;
  bool v6 = false;
};
[[nodiscard]] inline std::string to_string(const Path& path) {
  return std::string(path.direction == FlowDirection::kEgress ? "Egress" : "Ingress") +
         (path.v6 ? "6" : "4");
}
inline constexpr Path kAllPaths[] = {{FlowDirection::kEgress, false},
                                     {FlowDirection::kEgress, true},
                                     {FlowDirection::kIngress, false},
                                     {FlowDirection::kIngress, true}};

// One part alone.
[[nodiscard]] inline Impairment delayed(Nanos delay, Nanos jitter = {}) {
  Impairment impairment;
  impairment.delay = delay;
  impairment.jitter = jitter;
  return impairment;
}
[[nodiscard]] inline Impairment capped(std::uint64_t rate_bps) {
  Impairment impairment;
  impairment.rate_bps = rate_bps;
  return impairment;
}

class Border {
 public:
  // `prepare` sees the nodes before the gate is attached.
  explicit Border(
      Path path, const std::function<void(TwoNodes&)>& prepare = [](TwoNodes&) {})
      : path_(path), gate_((prepare(nodes_), nodes_.attach())) {
    if (!value_of(gate_.renew_lease(kLease))) throw std::runtime_error("no lease");
  }

  // In force from now on, instead of what was.
  [[nodiscard]] Status try_impair(const Impairment& impairment) {
    const MonoTime now = mono_now();
    GateRule rule{path_.direction, 1, {{.from = now, .until = now + kLease}}};
    rule.segments.front().treatment = Treatment::kImpair;
    return nodes_.a.run([&] { return gate_.load({.rules = {rule}, .impairments = {impairment}}); });
  }
  void impair(const Impairment& impairment) { check(try_impair(impairment)); }
  void heal() {
    check(nodes_.a.run([&] { return gate_.load(GateProgramme{}); }));
  }
  void detach() {
    check(nodes_.a.run([&] { return gate_.detach(); }));
  }

  StreamResult stream(const StreamPlan& plan) {
    if (!stream_) {
      stream_ = std::make_unique<Stream>(from(), source(), to(), target(), kPort);
    }
    return stream_->run(plan);
  }
  double goodput(Nanos lead, Nanos span) {
    return tcp_goodput(from(), source(), to(), target(), kPort, lead, span);
  }
  // What the receiving end gets, impaired.
  [[nodiscard]] Wire wire() const {
    return out() ? Wire::on_device(to(), "up0", path_.v6) : Wire::behind_ingress(to(), path_.v6);
  }

  [[nodiscard]] const Path& path() const { return path_; }
  [[nodiscard]] TwoNodes& nodes() { return nodes_; }
  [[nodiscard]] Gate& gate() { return gate_; }

 private:
  static constexpr Nanos kLease = 1h;
  static constexpr std::uint16_t kPort = 7000;
  [[nodiscard]] bool out() const { return path_.direction == FlowDirection::kEgress; }
  [[nodiscard]] const TestNetns& from() const { return out() ? nodes_.a : nodes_.b; }
  [[nodiscard]] const TestNetns& to() const { return out() ? nodes_.b : nodes_.a; }
  [[nodiscard]] std::string address_of(bool a) const {
    if (path_.v6) return a ? TwoNodes::kA6 : TwoNodes::kB6;
    return a ? TwoNodes::kA4 : TwoNodes::kB4;
  }
  [[nodiscard]] std::string source() const { return address_of(out()); }
  [[nodiscard]] std::string target() const { return address_of(!out()); }

  Path path_;
  TwoNodes nodes_;
  Gate gate_;
  std::unique_ptr<Stream> stream_;
};

// The path is impaired as asked, or, where this kernel cannot, refused by the name of what is
// missing; the answer tells which.
[[nodiscard]] inline bool impaired_or_refused(Border& border, const Impairment& impairment) {
  const Status status = border.try_impair(impairment);
  if (status) return true;
  const bool expected = !has_netem() && (border.path().direction == FlowDirection::kIngress ||
                                         impairment.corrupt > 0 || impairment.reorder > 0);
  if (!expected || status.error().code != ErrorCode::kRefused ||
      status.error().message.find("netem") == std::string::npos) {
    throw std::runtime_error(status.error().message);
  }
  return false;
}

class OnPath : public testing::TestWithParam<Path> {};
inline std::string path_name(const testing::TestParamInfo<Path>& info) {
  return to_string(info.param);
}
#define ZQ_ON_ALL_PATHS(suite) \
  INSTANTIATE_TEST_SUITE_P(Path, suite, testing::ValuesIn(kAllPaths), path_name)

}  // namespace zq::test
