// What packets of one border get when faults meet.
#include <gmock/gmock.h>
#include <netinet/in.h>

#include "controller/plan/combine.h"
#include "controller/plan/scopes.h"
#include "tests/unit/plan/plan_builder.h"

namespace zq {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Scope tcp(std::uint16_t port) {
  return {.protocol = IPPROTO_TCP,
          .ports = {{port, port}},
          .source_ports = {},
          .destination_ports = {}};
}

Fault impair(Nanos delay, std::uint32_t line = 20) {
  Fault result = fault(FaultKind::kImpair, "zone:a", "zone:b");
  result.impairments.emplace_back().delay = delay;
  result.one_way = true;
  result.position.line = line;
  return result;
}

// The segments from zone a to zone b, with their impairments' delays.
struct Row {
  Window window;
  Nanos delay{};
  Scope scope{};
  Nanos period{}, on{};
  bool operator==(const Row&) const = default;
};

void PrintTo(const Row& row, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << row.window.from.count() << ".." << row.window.until.count() << " "
       << format_duration(row.delay) << " " << to_string(row.scope) << " "
       << format_duration(row.on) << "/" << format_duration(row.period);
}

std::vector<Row> rows(std::vector<Phase> phases) {
  const Cluster cluster = three_zones();
  const auto plan = plan_of(cluster, experiment(std::move(phases)));
  if (!plan) {
    ADD_FAILURE() << plan.error().message;
    return {};
  }
  std::vector<Row> result;
  const NodeProgramme& sender = plan->programmes[0];
  const ProgrammeEntry* entry = find_entry(sender, Direction::kEgress, plan->programmes[2].group);
  if (entry == nullptr) return {};
  for (const FaultSegment& one : entry->segments) {
    result.push_back(
        {one.window,
         one.treatment == Treatment::kImpair ? plan->impairments[one.impairment].delay : Nanos{0},
         one.scope, one.period, one.on});
  }
  EXPECT_EQ(find_entry(plan->programmes[2], Direction::kIngress, sender.group), nullptr);
  return result;
}

std::string refusal(std::vector<Fault> faults) {
  const auto plan = plan_of(three_zones(), experiment({phase("x", "10s", std::move(faults))}));
  if (plan) return "planned";
  EXPECT_EQ(plan.error().code, ErrorCode::kInput);
  return plan.error().message;
}

TEST(Flatten, DelaysThatMeetAddUp) {
  Fault late = impair(10ms);
  late.after = 4s;
  late.through = "two";
  EXPECT_THAT(rows({phase("one", "10s", {impair(5ms), late}), phase("two", "5s")}),
              ElementsAre(Row{{0s, 4s}, 5ms}, Row{{4s, 10s}, 15ms}, Row{{10s, 15s}, 10ms}));
}

TEST(Flatten, ANarrowerScopeGetsItsOwnAndThatOfEverything) {
  Fault narrow = impair(10ms);
  narrow.scope = tcp(80);
  narrow.lasts = 4s;
  EXPECT_THAT(rows({phase("one", "10s", {impair(5ms), narrow})}),
              ElementsAre(Row{{0s, 4s}, 15ms, tcp(80)}, Row{{0s, 10s}, 5ms}));
}

TEST(Flatten, ScopesThatNoPacketSharesStandSideBySide) {
  Fault one = impair(10ms);
  one.scope = tcp(80);
  Fault two = impair(20ms);
  two.scope.protocol = IPPROTO_UDP;
  EXPECT_THAT(rows({phase("one", "10s", {one, two})}),
              testing::UnorderedElementsAre(Row{{0s, 10s}, 10ms, tcp(80)},
                                            Row{{0s, 10s}, 20ms, two.scope}));
  two.scope = {};
  two.scope.protocol = IPPROTO_TCP;
  two.position.line = 30;
  const std::string message = refusal({one, two});
  EXPECT_THAT(message, HasSubstr("a packet can be in both"));
  EXPECT_THAT(message, HasSubstr("experiment.toml:20:1"));
  EXPECT_THAT(message, HasSubstr("experiment.toml:30:1"));
  two.after = 5s;
  one.lasts = 5s;
  EXPECT_EQ(refusal({one, two}), "planned");
}

TEST(Flatten, RampsAreEqualSteps) {
  Fault ramp = impair(10ms);
  for (const auto delay : {20ms, 40ms}) ramp.impairments.emplace_back().delay = delay;
  ramp.after = 1s;
  EXPECT_THAT(rows({phase("one", "10s", {ramp})}),
              ElementsAre(Row{{1s, 4s}, 10ms}, Row{{4s, 7s}, 20ms}, Row{{7s, 10s}, 40ms}));
}

TEST(Flatten, AFlappingImpairmentLiesOverASteadyOne) {
  Fault flapping = impair(10ms);
  flapping.period = 4s;
  flapping.on = 1s;
  EXPECT_THAT(rows({phase("one", "10s", {impair(5ms), flapping})}),
              ElementsAre(Row{{0s, 10s}, 15ms, {}, 4s, 1s}, Row{{0s, 10s}, 5ms}));
}

// The kernel counts a segment's cycles from its start, so that what is left of the cycle in which
// another fault begins has a segment of its own.
TEST(Flatten, FlappingKeepsItsPhaseWhereWhatIsUnderItChanges) {
  Fault flapping = impair(10ms);
  flapping.period = 4s;
  flapping.on = 3s;
  Fault late = impair(5ms);
  late.after = 5s;
  EXPECT_THAT(rows({phase("one", "12s", {flapping, late})}),
              ElementsAre(Row{{0s, 5s}, 10ms, {}, 4s, 3s}, Row{{5s, 7s}, 15ms},
                          Row{{8s, 12s}, 15ms, {}, 4s, 3s}, Row{{5s, 12s}, 5ms}));
  flapping.on = 1s;  // off when the other begins
  EXPECT_THAT(rows({phase("one", "12s", {flapping, late})}),
              ElementsAre(Row{{0s, 5s}, 10ms, {}, 4s, 1s}, Row{{8s, 12s}, 15ms, {}, 4s, 1s},
                          Row{{5s, 12s}, 5ms}));
}

TEST(Flatten, OnlyOneFlapsAtATime) {
  Fault one = impair(10ms);
  one.period = 4s;
  one.on = 1s;
  Fault two = one;
  two.period = 3s;
  two.position.line = 30;
  EXPECT_THAT(refusal({one, two}), HasSubstr("flaps while"));
  // Cuts may: either is enough.
  one.kind = two.kind = FaultKind::kPartition;
  one.one_way = two.one_way = false;
  one.impairments.clear();
  two.impairments.clear();
  EXPECT_EQ(refusal({one, two}), "planned");
}

TEST(Flatten, DropsComeBeforeRejectsBeforeImpairments) {
  Fault reject = fault(FaultKind::kPartition, "zone:a", "zone:b");
  reject.reject = true;
  Fault drop = fault(FaultKind::kOneWay, "zone:a", "zone:b");
  drop.scope = tcp(80);
  const auto plan =
      plan_of(three_zones(), experiment({phase("x", "9s", {impair(5ms), reject, drop})}));
  ASSERT_TRUE(plan) << plan.error().message;
  const ProgrammeEntry& entry = plan->programmes[0].entries[0];
  ASSERT_EQ(entry.segments.size(), 3U);
  EXPECT_EQ(entry.segments[0].treatment, Treatment::kDrop);
  EXPECT_EQ(entry.segments[0].scope, tcp(80));
  EXPECT_EQ(entry.segments[1].treatment, Treatment::kReject);
  EXPECT_EQ(entry.segments[2].treatment, Treatment::kImpair);
  EXPECT_THAT(entry.windows, ElementsAre(Window{0s, 9s}));
  // The receiver drops and rejects too, but the delay is the sender's.
  const ProgrammeEntry* received = find_entry(plan->programmes[2], Direction::kIngress, 0);
  ASSERT_NE(received, nullptr);
  EXPECT_EQ(received->segments.size(), 2U);
}

TEST(Flatten, SidePortsAreSeenFromEachEnd) {
  Fault cut = fault(FaultKind::kPartition, "zone:a", "zone:b");
  cut.scope.source_ports = {{5050, 5050}};
  const auto plan = plan_of(three_zones(), experiment({phase("x", "9s", {cut})}));
  ASSERT_TRUE(plan) << plan.error().message;
  const NodeProgramme& a = plan->programmes[0];
  const FaultSegment& there = find_entry(a, Direction::kEgress, 1)->segments[0];
  EXPECT_THAT(there.scope.source_ports, ElementsAre(PortRange{5050, 5050}));
  const FaultSegment& back = find_entry(a, Direction::kIngress, 1)->segments[0];
  EXPECT_THAT(back.scope.destination_ports, ElementsAre(PortRange{5050, 5050}));
  EXPECT_THAT(back.scope.source_ports, IsEmpty());
  EXPECT_THAT(find_entry(a, Direction::kEgress, 1)->windows, IsEmpty());
}

TEST(Scopes, OverlapAsPacketsDo) {
  Scope from_80;
  from_80.source_ports = {{80, 80}};
  Scope to_80;
  to_80.destination_ports = {{80, 80}};
  Scope from_90;
  from_90.source_ports = {{90, 90}};
  Scope icmp;
  icmp.protocol = IPPROTO_ICMP;
  EXPECT_TRUE(overlap(Scope{}, icmp));
  EXPECT_TRUE(overlap(from_80, to_80));
  EXPECT_FALSE(overlap(from_80, from_90));
  EXPECT_TRUE(overlap(from_90, reversed(from_80)));
  EXPECT_TRUE(overlap(tcp(80), tcp(90)));  // from one to the other
  EXPECT_TRUE(overlap(tcp(80), from_80));
  EXPECT_FALSE(overlap(icmp, from_80));
  Scope udp_80 = tcp(80);
  udp_80.protocol = IPPROTO_UDP;
  EXPECT_FALSE(overlap(tcp(80), udp_80));
  Scope both = from_80;
  both.destination_ports = {{90, 90}};
  EXPECT_FALSE(overlap(both, tcp(70)));
  EXPECT_TRUE(overlap(both, tcp(90)));
}

TEST(Combine, LossesAreIndependentAndTheLowerRateHolds) {
  Impairment one;
  one.loss = {LossModel::Kind::kRandom, {0.1}};
  one.rate_bps = 1'000'000;
  Impairment other = one;
  other.loss.parameters[0] = 0.2;
  other.rate_bps = 2'000'000;
  other.corrupt = 0.5;
  const auto both = combine(one, other);
  ASSERT_TRUE(both);
  EXPECT_DOUBLE_EQ(both->loss.parameters[0], 1 - 0.9 * 0.8);
  EXPECT_EQ(both->rate_bps, 1'000'000U);
  EXPECT_DOUBLE_EQ(both->corrupt, 0.5);
  other.loss = {LossModel::Kind::kGilbertElliott, {0.1, 0.2, 0.5, 0.01}};
  const auto chain = combine(one, other);
  ASSERT_TRUE(chain);
  EXPECT_NEAR(chain->loss.expected(), 1 - 0.9 * (1 - other.loss.expected()), 1e-12);
}

TEST(Combine, RefusesWhatOneQueueCannotDo) {
  const auto problem = [](const Impairment& one, const Impairment& other) {
    const auto both = combine(one, other);
    return both ? "combined" : both.error().message;
  };
  Impairment chain;
  chain.loss = {LossModel::Kind::kGilbertElliott, {0.1, 0.2, 0.5, 0.01}};
  EXPECT_THAT(problem(chain, chain), HasSubstr("a model with a memory"));
  Impairment state = chain;
  state.loss = {LossModel::Kind::kFourState, {0.1, 0.2}};
  Impairment random;
  random.loss = {LossModel::Kind::kRandom, {0.1}};
  EXPECT_THAT(problem(state, random), HasSubstr("4-state"));
  Impairment correlated = random;
  correlated.loss.parameters[1] = 0.5;
  EXPECT_THAT(problem(correlated, random), HasSubstr("correlation"));
  Impairment normal;
  normal.delay = 10ms;
  normal.jitter = 1ms;
  normal.distribution = Distribution::kNormal;
  Impairment pareto = normal;
  pareto.distribution = Distribution::kPareto;
  EXPECT_THAT(problem(normal, pareto), HasSubstr("differ in distribution"));
  EXPECT_EQ(problem(normal, normal), "combined");
  Impairment plain;
  plain.delay = 5ms;
  EXPECT_EQ(combine(plain, normal)->distribution, Distribution::kNormal);
  plain.delay = 60s;
  EXPECT_THAT(problem(plain, normal), HasSubstr("at most"));
}

}  // namespace
}  // namespace zq
