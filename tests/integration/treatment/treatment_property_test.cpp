// Random sequences of fault sets, planned, loaded into the agents of real namespaces, and measured:
// what becomes of every packet is what the faults say when they are read one by one.
#include <gmock/gmock.h>
#include <poll.h>

#include <array>
#include <mutex>

#include "controller/run/agent_requests.h"
#include "tests/integration/agent/agent_fixture.h"
#include "tests/unit/plan/naive_faults.h"

namespace zq::test {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;

constexpr std::size_t kNodes = 4;
constexpr std::array<std::uint16_t, 3> kPorts{2181, 3000, 5050};
constexpr auto kPhase = 1200ms;
constexpr auto kGap = 10ms;  // between a flow's packets
// Packets this close to an edge of a fault may have met either side of it.
constexpr auto kEdge = 15ms;
// How late a median may be on a busy machine that has no netem.
constexpr auto kLate = 20ms;

Cluster cluster_of_nodes() {
  Cluster cluster = empty_testbed("treatment");
  for (const char* zone : {"z0", "z1", "z2"}) add_zone(cluster, zone);
  for (std::size_t i = 0; i < kNodes; ++i) {
    add_node(cluster, fmt::format("n{}", i), fmt::format("z{}", i % 3), {"agent"},
             {fmt::format("10.66.0.{}", i + 1), fmt::format("fd66::{}", i + 1)});
  }
  return cluster;
}

Scope random_scope(Dice& dice) {
  Scope scope;
  switch (dice.roll(0, 6)) {
    case 0:
      scope.protocol = dice.once_in(2) ? IPPROTO_TCP : IPPROTO_UDP;
      break;
    case 1:
      scope.ports = {{2181, 2181}, {2888, 3888}};
      break;
    case 2:
      scope.protocol = IPPROTO_UDP;
      scope.source_ports = {{5050, 5050}};
      break;
    case 3:
      scope.destination_ports = {{2000, 3000}};
      break;
    default:
      break;
  }
  return scope;
}

// What every kernel can do.
Impairment random_impairment(Dice& dice) {
  Impairment one;
  if (dice.once_in(2)) one.delay = std::chrono::milliseconds(dice.roll(20, 120));
  if (one.delay > Nanos{0} && dice.once_in(3)) one.jitter = one.delay / 4;
  if (dice.once_in(3)) one.loss = {LossModel::Kind::kRandom, {dice.roll(10, 90) / 100.0}};
  if (dice.once_in(4)) one.rate_bps = dice.roll(10, 50) * 1'000'000ULL;
  if (dice.once_in(4) || !check(one)) one.duplicate = 0.5;
  return one;
}

NaiveFault random_fault(Dice& dice, const Cluster& cluster) {
  NaiveFault fault;
  fault.sides.resize(2);
  for (NodeId node = 0; node < kNodes; ++node) {
    const unsigned side = node < 2 ? node : dice.roll(0, 2);
    if (side < 2) fault.sides[side].insert(node);
  }
  if (dice.once_in(2)) std::swap(fault.sides[0], fault.sides[1]);
  if (dice.once_in(3)) {  // another pair than n0 and n1
    for (NodeSet& side : fault.sides) {
      NodeSet moved;
      for (const NodeId node : side) moved.insert((node + 1) % kNodes);
      side = moved;
    }
  }
  const auto kind = dice.one_of(std::vector<FaultKind>{FaultKind::kPartition, FaultKind::kOneWay,
                                                       FaultKind::kImpair, FaultKind::kImpair,
                                                       FaultKind::kImpair});
  fault.spec =
      test::fault(kind, nodes_text(cluster, fault.sides[0]), nodes_text(cluster, fault.sides[1]));
  fault.spec.scope = random_scope(dice);
  if (kind != FaultKind::kImpair) {
    fault.spec.reject = dice.once_in(3);
    if (dice.once_in(4)) {
      fault.spec.period = 400ms;
      fault.spec.on = 200ms;
    }
    return fault;
  }
  fault.spec.one_way = dice.once_in(3);
  for (unsigned steps = dice.once_in(4) ? 2 : 1; steps > 0; --steps) {
    fault.spec.impairments.push_back(random_impairment(dice));
  }
  return fault;
}

World random_sequence(unsigned seed) {
  Dice dice(seed);
  World world{cluster_of_nodes(), {}, {}};
  std::vector<Phase> phases;
  Nanos start{0};
  for (unsigned number = 0; number < 3; ++number) {
    std::vector<Fault> faults;
    for (unsigned more = dice.roll(1, 3); more > 0; --more) {
      NaiveFault fault = random_fault(dice, world.cluster);
      fault.from = start;
      fault.until = start + kPhase;
      faults.push_back(fault.spec);
      world.faults.push_back(std::move(fault));
    }
    phases.push_back(phase(fmt::format("p{}", number), "1200ms", std::move(faults)));
    start += kPhase;
  }
  world.experiment = experiment(std::move(phases));
  return world;
}

struct PortFlow {
  NodeId from = 0, to = 0;
  bool v4 = true;
  Packet packet;  // its ports
};

// What is sent with every packet.
struct Stamp {
  std::uint32_t flow = 0, number = 0;
  std::int64_t sent_ns = 0;
};

// A socket for each port of each node and family, all read by one thread.
class Mesh {
 public:
  explicit Mesh(Fleet& fleet) {
    for (std::size_t i = 0; i < kNodes; ++i) {
      for (const bool v4 : {true, false}) {
        addresses_.push_back(v4 ? fleet[i].v4() : fleet[i].v6());
        for (const std::uint16_t port : kPorts) {
          sockets_.push_back(
              std::make_unique<UdpSocket>(fleet[i].netns(), addresses_.back(), port));
        }
      }
    }
    reader_ = std::jthread([this](const std::stop_token& stop) { read(stop); });
  }

  void send(std::uint32_t index, const PortFlow& flow, std::uint32_t number) {
    const Stamp stamp{index, number, to_ns(mono_now())};
    const SocketAddress to(addresses_[2 * flow.to + (flow.v4 ? 0 : 1)], flow.packet.destination);
    // What a reject tells the sender is not looked at here.
    (void)socket(flow.from, flow.v4, flow.packet.source).send(to, &stamp, sizeof stamp);
  }

  using Copies = std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<Nanos>>;
  Copies take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(copies_, {});
  }

 private:
  UdpSocket& socket(NodeId node, bool v4, std::uint16_t port) {
    const std::size_t which =
        static_cast<std::size_t>(std::ranges::find(kPorts, port) - kPorts.begin());
    return *sockets_[(2 * node + (v4 ? 0 : 1)) * kPorts.size() + which];
  }

  void read(const std::stop_token& stop) {
    std::vector<pollfd> waits;
    for (const auto& socket : sockets_) waits.push_back({socket->fd(), POLLIN, 0});
    while (!stop.stop_requested()) {
      if (::poll(waits.data(), waits.size(), 50) <= 0) continue;
      for (std::size_t i = 0; i < waits.size(); ++i) {
        if (waits[i].revents == 0) continue;
        (void)sockets_[i]->drain([&](std::string_view bytes) {
          Stamp stamp;
          if (bytes.size() != sizeof stamp) return;
          std::memcpy(&stamp, bytes.data(), sizeof stamp);
          const std::lock_guard lock(mutex_);
          copies_[{stamp.flow, stamp.number}].push_back({Nanos{to_ns(mono_now()) - stamp.sent_ns}});
        });
      }
    }
  }

  std::vector<std::string> addresses_;  // two for each node
  std::vector<std::unique_ptr<UdpSocket>> sockets_;
  std::mutex mutex_;
  Copies copies_;
  std::jthread reader_;
};

std::vector<PortFlow> random_flows(Dice& dice) {
  std::vector<PortFlow> flows;
  for (NodeId from = 0; from < kNodes; ++from) {
    for (NodeId to = 0; to < kNodes; ++to) {
      if (from == to) continue;
      for (const bool v4 : {true, false}) {
        const std::vector<std::uint16_t> ports(kPorts.begin(), kPorts.end());
        flows.push_back({from, to, v4, {IPPROTO_UDP, dice.one_of(ports), dice.one_of(ports)}});
      }
    }
  }
  return flows;
}

struct Sent {
  std::uint32_t flow = 0, number = 0;
  Nanos at{};  // since the faults began
};

// What the faults say of a packet that is sent at an instant; nothing where an edge is too near, or
// where a cut comes while the packet waits.
std::optional<Outcome> expected(const World& world, const Plan& plan, const PortFlow& flow,
                                Nanos at) {
  const Outcome now = naive(world, plan, flow.from, flow.to, flow.packet, at);
  const Nanos held = now.impairment ? now.impairment->delay + now.impairment->jitter : Nanos{0};
  const auto say = [](const Outcome& outcome) {
    return fmt::format("{}{}{}", outcome.dropped, outcome.rejected,
                       outcome.impairment ? to_string(*outcome.impairment) : "");
  };
  for (Nanos near = at - kEdge; near <= at + kEdge; near += Nanos{1ms}) {
    if (say(naive(world, plan, flow.from, flow.to, flow.packet, near)) != say(now)) {
      return std::nullopt;
    }
  }
  for (Nanos later = at; later <= at + held + kEdge + kLate; later += Nanos{1ms}) {
    const Outcome then = naive(world, plan, flow.from, flow.to, flow.packet, later);
    if (then.dropped != now.dropped || then.rejected != now.rejected) return std::nullopt;
  }
  return now;
}

// All packets of one flow that were to have the same treatment.
struct Bundle {
  Outcome outcome;
  std::size_t sent = 0, arrived = 0, doubled = 0;
  std::vector<Nanos> latencies;  // of first copies
};

// The 99.9999 % interval of a binomial distribution, normal approximation with continuity.
std::pair<double, double> interval(std::size_t count, double share) {
  const auto n = static_cast<double>(count);
  const double half = 4.9 * std::sqrt(n * share * (1 - share)) + 1;
  return {n * share - half, n * share + half};
}

void judge(const PortFlow& flow, Bundle& bundle) {
  const Outcome& asked = bundle.outcome;
  SCOPED_TRACE(fmt::format("n{} -> n{} IPv{} ports {} {}: {} packets, {} arrived, should be {}",
                           flow.from, flow.to, flow.v4 ? 4 : 6, flow.packet.source,
                           flow.packet.destination, bundle.sent, bundle.arrived,
                           asked.dropped      ? "dropped"
                           : asked.rejected   ? "rejected"
                           : asked.impairment ? to_string(*asked.impairment)
                                              : "untouched"));
  if (asked.dropped || asked.rejected) {
    EXPECT_EQ(bundle.arrived, 0U);
    return;
  }
  const Impairment impairment = asked.impairment.value_or(Impairment{});
  const double loss = impairment.missing_share();
  const auto [least, most] = interval(bundle.sent, 1 - loss);
  if (loss == 0) {
    EXPECT_EQ(bundle.arrived, bundle.sent);
  } else {
    EXPECT_THAT(static_cast<double>(bundle.arrived), AllOf(Ge(least), Le(most)));
  }
  auto [fewest, doubled] = interval(bundle.arrived, impairment.doubled_share());
  if (impairment.duplicate == 0) fewest = doubled = 0;
  EXPECT_THAT(static_cast<double>(bundle.doubled), AllOf(Ge(fewest), Le(doubled)));
  if (bundle.latencies.size() < 5) return;
  std::ranges::sort(bundle.latencies);
  EXPECT_GE(bundle.latencies.front(), impairment.delay - impairment.jitter);
  EXPECT_LE(bundle.latencies[bundle.latencies.size() / 2],
            impairment.delay + impairment.jitter + Nanos{kLate});
}

class Sequence {
 public:
  Sequence(Fleet& fleet, Mesh& mesh, unsigned seed) : fleet_(fleet), mesh_(mesh), seed_(seed) {
    run_.set_run(unique_name("run"));
    run_.set_epoch(1);
  }

  // Bundles that were judged; 0 when the planner refuses the faults together.
  std::size_t play() {
    const World world = random_sequence(seed_);
    const auto plan = plan_of(world.cluster, world.experiment);
    if (!plan) return 0;
    arm(world, *plan);
    const MonoTime fault_at = mono_now() + 400ms;
    load(*plan, fault_at);
    Dice dice(seed_);
    const std::vector<PortFlow> flows = random_flows(dice);
    const std::vector<Sent> sent = flood(flows, fault_at);
    const std::size_t judged = judge_all(world, *plan, flows, sent);
    disarm();
    return judged;
  }

 private:
  void arm(const World& world, const Plan& plan) {
    const auto requests =
        arm_requests(world.cluster, plan, run_, {.probe_rate = 20, .probe_port = kProbePort});
    for (std::size_t i = 0; i < kNodes; ++i) {
      const auto answer = fleet_[i].arm(requests[i]);
      if (!answer.status.ok()) throw std::runtime_error(answer.status.error_message());
      dumps_.push_back(answer.reply.dump());
      hearts_.push_back(std::make_unique<Heart>(fleet_[i].stub(), run_));
    }
  }

  void load(const Plan& plan, MonoTime fault_at) {
    const std::vector<ClockEstimate> clocks(kNodes);
    const auto requests = load_requests(plan, run_, fault_at, clocks, {});
    for (std::size_t i = 0; i < kNodes; ++i) {
      const auto answer = fleet_[i].load(requests[i]);
      if (!answer.status.ok()) throw std::runtime_error(answer.status.error_message());
    }
    ASSERT_LT(mono_now(), fault_at) << "the programmes came too late";
  }

  // From before the first fault to after the last.
  std::vector<Sent> flood(const std::vector<PortFlow>& flows, MonoTime fault_at) {
    std::vector<Sent> sent;
    const MonoTime end = fault_at + 3 * kPhase + 200ms;
    std::uint32_t number = 0;
    for (MonoTime at = mono_now(); at < end; at += kGap, ++number) {
      std::this_thread::sleep_until(std::chrono::steady_clock::time_point(at.time_since_epoch()));
      for (std::uint32_t i = 0; i < flows.size(); ++i) {
        sent.push_back({i, number, mono_now() - fault_at});
        mesh_.send(i, flows[i], number);
      }
    }
    std::this_thread::sleep_for(400ms);  // longer than anything is held
    return sent;
  }

  std::size_t judge_all(const World& world, const Plan& plan, const std::vector<PortFlow>& flows,
                        const std::vector<Sent>& sent) {
    const Mesh::Copies copies = mesh_.take();
    std::map<std::pair<std::uint32_t, std::string>, Bundle> bundles;
    for (const Sent& one : sent) {
      const auto outcome = expected(world, plan, flows[one.flow], one.at);
      if (!outcome) continue;
      const std::string key =
          fmt::format("{}{}{}", outcome->dropped, outcome->rejected,
                      outcome->impairment ? to_string(*outcome->impairment) : "");
      Bundle& bundle = bundles[{one.flow, key}];
      bundle.outcome = *outcome;
      ++bundle.sent;
      const auto found = copies.find({one.flow, one.number});
      if (found == copies.end()) continue;
      ++bundle.arrived;
      if (found->second.size() > 1) ++bundle.doubled;
      bundle.latencies.push_back(found->second.front());
    }
    for (auto& [key, bundle] : bundles) judge(flows[key.first], bundle);
    return bundles.size();
  }

  void disarm() {
    for (std::size_t i = 0; i < kNodes; ++i) {
      EXPECT_EQ(hearts_[i]->violations(), "") << fleet_[i].name();
      const auto answer = fleet_[i].disarm(run_);
      EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
      EXPECT_EQ(answer.reply.dump(), dumps_[i]);
    }
  }

  Fleet& fleet_;
  Mesh& mesh_;
  unsigned seed_;
  zonequake::RunRef run_;
  std::vector<std::string> dumps_;
  std::vector<std::unique_ptr<Heart>> hearts_;
};

TEST(TreatmentProperty, MeasuredIsWhatTheFaultsSay) {
  Fleet fleet(kNodes);
  Mesh mesh(fleet);
  std::size_t sequences = 0, judged = 0;
  for (unsigned seed = 1; sequences < 12 && seed < 100 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const std::size_t bundles = Sequence(fleet, mesh, seed).play();
    if (bundles > 0) ++sequences;
    judged += bundles;
  }
  EXPECT_EQ(sequences, 12U);
  EXPECT_GT(judged, 500U);
}

}  // namespace
}  // namespace zq::test
