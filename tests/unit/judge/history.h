// Small recorded histories for the judge's tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "controller/judge/judge.h"

namespace zq::test {

// Seconds after the start of the run.
inline MonoTime at(double seconds) {
  return mono_from_ns(1'000'000'000'000) + from_seconds(seconds);
}

using Points = std::vector<std::pair<double, std::optional<double>>>;

// A series that has each value from its instant on, confirmed up to the next point, and the last
// one up to `until`.
inline Series series(std::string signal, Labels labels, const Points& points, double until = 1000,
                     double stale_after = 1) {
  Series result{std::move(signal), std::move(labels), from_seconds(stale_after), {}};
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double last = i + 1 < points.size() ? points[i + 1].first : until;
    result.segments.push_back({at(points[i].first), at(last), points[i].second});
  }
  return result;
}

inline Series instance(const std::string& name, const std::string& node, const Points& points,
                       double until = 1000) {
  return series("app.answers",
                {{"app", "web"}, {"instance", name}, {"node", node}, {"zone", node.substr(0, 1)}},
                points, until);
}

inline Expression condition(std::string_view text) {
  auto result = Expression::parse_condition(text, {"x.toml", 1, 1});
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  return result ? *result : Expression{};
}

inline Expression number(std::string_view text) {
  auto result = Expression::parse_number(text, {"x.toml", 1, 1});
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  return result ? *result : Expression{};
}

inline Expectation always(std::string_view text, double hold = 0) {
  Expectation result;
  result.id = "it";
  result.during = "partition";
  result.temporal = Temporal::kAlways;
  result.condition = condition(text);
  result.hold = from_seconds(hold);
  return result;
}

inline Expectation never(std::string_view text, double hold = 0) {
  Expectation result = always(text, hold);
  result.temporal = Temporal::kNever;
  return result;
}

inline Expectation eventually(std::string_view text, std::string_view within, double hold = 0) {
  Expectation result = always(text, hold);
  result.temporal = Temporal::kEventually;
  result.within = number(within);
  return result;
}

// baseline [0, 10), partition [10, 50), recovery [50, 100); zones a, b, c; "cut" is zone b.
inline JudgeContext context() {
  JudgeContext result;
  result.phases = {
      {"baseline", at(0), at(10)}, {"partition", at(10), at(50)}, {"recovery", at(50), at(100)}};
  result.variables = {{"replicas", 3}, {"reschedule_max", 20}, {"zero", 0}};
  result.selected_zones = {{"cut", {"b"}}, {"rest", {"a", "c"}}};
  result.selected_nodes = {{"cut", {"b1", "b2"}}, {"rest", {"a1", "c1"}}};
  return result;
}

}  // namespace zq::test
