// Loss asked for against loss measured.
#include <fmt/core.h>

#include "tests/vm/faults/border.h"
#include "tests/vm/faults/statistics.h"

namespace zq::test {
namespace {

using namespace std::chrono_literals;

class Loss : public OnPath {};

Impairment loss(LossModel::Kind kind, std::array<double, 5> parameters) {
  Impairment impairment;
  impairment.loss = {kind, parameters};
  return impairment;
}

TEST_P(Loss, IsInsideTheBinomialInterval) {
  Border border(GetParam());
  for (const double asked : {0.01, 0.1, 0.5}) {
    border.impair(loss(LossModel::Kind::kRandom, {asked}));
    expect_probability(asked, [&] {
      const auto result = border.stream({.count = 4000, .interval = 100us});
      EXPECT_EQ(result.send_errors, 0U);
      EXPECT_EQ(result.arrivals.size(), result.distinct().size());
      const Draw draw{result.sent - result.arrivals.size(), result.sent};
      fmt::print("{} loss {:g} %: {} of {} = {:.2f} %\n", to_string(GetParam()), asked * 100,
                 draw.hits, draw.of, 100.0 * static_cast<double>(draw.hits) / 4000);
      return draw;
    });
  }
  border.impair(loss(LossModel::Kind::kRandom, {1.0}));
  EXPECT_TRUE(border.stream({.interval = 100us}).arrivals.empty());
  border.heal();
  EXPECT_EQ(border.stream({.interval = 100us}).arrivals.size(), 1000U);
}
ZQ_ON_ALL_PATHS(Loss);

struct Bursts {
  double share = 0;  // of packets lost
  double length = 0;
};

Bursts bursts(const StreamResult& result) {
  std::vector<bool> arrived(result.sent);
  for (const Arrival& arrival : result.arrivals) arrived[arrival.number] = true;
  double lost = 0;
  double begun = 0;
  for (std::size_t i = 0; i < arrived.size(); ++i) {
    if (arrived[i]) continue;
    ++lost;
    if (i == 0 || arrived[i - 1]) ++begun;
  }
  return {lost / static_cast<double>(result.sent), begun > 0 ? lost / begun : 0};
}

struct Model {
  const char* name;
  LossModel model;
  double burst_length;
};

class LossInBursts : public testing::TestWithParam<Model> {};

// Bursts are about 200 in these streams; the bounds are 4.4 deviations and more, which chance
// passes once in 10^5.
TEST_P(LossInBursts, HasTheShareAndTheLengthThatWereAsked) {
  Border border({FlowDirection::kEgress, false});
  border.impair(loss(GetParam().model.kind, GetParam().model.parameters));
  const Bursts got = bursts(border.stream({.count = 10000, .interval = 100us}));
  fmt::print("{}: {:.2f} % lost (asked {:.2f} %), bursts of {:.2f} (asked {:.2f})\n",
             GetParam().name, got.share * 100, GetParam().model.expected() * 100, got.length,
             GetParam().burst_length);
  EXPECT_NEAR(got.share, GetParam().model.expected(), 0.04);
  EXPECT_NEAR(got.length, GetParam().burst_length, 1.5);
}
INSTANTIATE_TEST_SUITE_P(
    Model, LossInBursts,
    testing::Values(
        // Into the bad state with 2 %, out of it with 20 %: bursts of 5.
        Model{"GilbertElliott", {LossModel::Kind::kGilbertElliott, {0.02, 0.2, 1, 0}}, 5},
        // The same chain as states 1 and 3, without good packets inside bursts.
        Model{"FourState", {LossModel::Kind::kFourState, {0.02, 0.2, 0, 0, 0}}, 5}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace zq::test
