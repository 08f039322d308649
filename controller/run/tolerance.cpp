#include "controller/run/tolerance.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace zq {
namespace {

constexpr double kManyTrials = 20'000;  // above, the normal approximation is as good
constexpr double kTableScale = 8192;    // of netem's distribution tables
// A cap on the rate holds packets behind each other; probes are few and small.
constexpr Nanos kRateDrain = std::chrono::milliseconds(100);

// Smallest count whose lower tail is not below `tail`, of a binomial distribution.
double binomial_quantile(double probability, double trials, double tail) {
  double log_mass = trials * std::log1p(-probability);
  const double step = std::log(probability) - std::log1p(-probability);
  double sum = 0;
  for (double k = 0; k < trials; ++k) {
    sum += std::exp(log_mass);
    if (sum >= tail) return k;
    log_mass += std::log((trials - k) / (k + 1)) + step;
  }
  return trials;
}

// A Markov chain of packets in which each state loses with some probability.
struct Chain {
  std::array<std::array<double, 4>, 4> next{};  // [from][to]
  std::array<double, 4> loss{};
};

Chain chain_of(const LossModel& model) {
  Chain chain;
  const auto& p = model.parameters;
  if (model.kind == LossModel::Kind::kFourState) {  // states 1 to 4 as tc-netem(8) has them
    chain.next[0] = {1 - p[0] - p[4], 0, p[0], p[4]};
    chain.next[1] = {0, 1 - p[3], p[3], 0};
    chain.next[2] = {p[1], p[2], 1 - p[1] - p[2], 0};
    chain.next[3] = {1, 0, 0, 0};
    chain.loss = {0, 0, 1, 1};
    return chain;
  }
  chain.next[0] = {1 - p[0], p[0], 0, 0};  // good, bad
  chain.next[1] = {p[1], 1 - p[1], 0, 0};
  chain.loss = {p[3], p[2], 0, 0};
  return chain;
}

std::array<double, 4> advance(const Chain& chain, const std::array<double, 4>& shares) {
  std::array<double, 4> result{};
  for (std::size_t from = 0; from < 4; ++from) {
    for (std::size_t to = 0; to < 4; ++to) result[to] += shares[from] * chain.next[from][to];
  }
  return result;
}

// Sum of the covariances of losses at all distances, over the variance of one.
double chain_variance(const Chain& chain, double share) {
  constexpr int kLongRun = 20'000;
  constexpr int kAveraged = 1'000;  // for chains that go in circles
  constexpr int kFar = 20'000;
  std::array<double, 4> stationary{1, 0, 0, 0};
  std::array<double, 4> mean{};
  for (int i = 0; i < kLongRun + kAveraged; ++i) {
    stationary = advance(chain, stationary);
    for (std::size_t s = 0; s < 4 && i >= kLongRun; ++s) mean[s] += stationary[s] / kAveraged;
  }
  // The weight of each state among lost packets, followed over the packets after them.
  std::array<double, 4> lost{};
  for (std::size_t s = 0; s < 4; ++s) lost[s] = mean[s] * chain.loss[s];
  double sum = 0;
  for (int i = 0; i < kFar; ++i) {
    lost = advance(chain, lost);
    double both = 0;
    for (std::size_t s = 0; s < 4; ++s) both += lost[s] * chain.loss[s];
    const double covariance = both - share * share;
    sum += covariance;
    if (std::abs(covariance) < 1e-9) break;
  }
  return std::max(1.0, 1 + 2 * sum / (share * (1 - share)));
}

}  // namespace

void Range::include(const Range& other) {
  low = std::min(low, other.low);
  high = std::max(high, other.high);
}

double normal_distance(double error_rate) {
  double low = 0, high = 40;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(middle / std::sqrt(2.0)) > error_rate ? low : high) = middle;
  }
  return (low + high) / 2;
}

Range share_range(double probability, std::uint64_t trials, double variance, double error_rate) {
  const double n = std::max(1.0, static_cast<double>(trials) / std::max(1.0, variance));
  if (probability <= 0) return {0, 0};
  if (probability >= 1) return {1, 1};
  if (n > kManyTrials) {
    const double reach =
        normal_distance(error_rate) * std::sqrt(probability * (1 - probability) / n);
    return {std::max(0.0, probability - reach), std::min(1.0, probability + reach)};
  }
  const double whole = std::floor(n);
  // Of the rarer outcome, whose tail is summed.
  const double rare = std::min(probability, 1 - probability);
  const Range range{binomial_quantile(rare, whole, error_rate / 2) / whole,
                    binomial_quantile(rare, whole, 1 - error_rate / 2) / whole};
  if (rare == probability) return range;
  return {1 - range.high, 1 - range.low};
}

double loss_variance(const LossModel& loss) {
  switch (loss.kind) {
    case LossModel::Kind::kNone:
      return 1;
    case LossModel::Kind::kRandom: {
      const double correlation = std::min(loss.parameters[1], 0.999);
      return (1 + correlation) / (1 - correlation);
    }
    case LossModel::Kind::kGilbertElliott:
    case LossModel::Kind::kFourState: {
      const double share = loss.expected();
      if (share <= 0 || share >= 1) return 1;
      return chain_variance(chain_of(loss), share);
    }
  }
  return 1;
}

double jitter_quantile(const Impairment& impairment, double rank) {
  rank = std::clamp(rank, 0.0, 1.0);
  if (impairment.distribution == Distribution::kUniform) return 2 * rank - 1;
  std::vector<std::int16_t> table = impairment.distribution == Distribution::kCustom
                                        ? impairment.table
                                        : distribution_table(impairment.distribution);
  if (table.empty()) return 0;
  const auto place = std::min(table.size() - 1,
                              static_cast<std::size_t>(rank * static_cast<double>(table.size())));
  std::nth_element(table.begin(), table.begin() + static_cast<std::ptrdiff_t>(place), table.end());
  return table[place] / kTableScale;
}

double jitter_reach(const Impairment& impairment) {
  return std::max(0.0, jitter_quantile(impairment, 1));
}

Nanos drain_bound(const Impairment& impairment) {
  const double jitter = to_seconds(impairment.jitter) * jitter_reach(impairment);
  return impairment.delay + from_seconds(jitter) +
         (impairment.rate_bps > 0 ? kRateDrain : Nanos{0});
}

double overtaken_share(double reorder, double ahead) {
  return (1 - reorder) * (1 - std::pow(1 - reorder, std::max(0.0, std::floor(ahead))));
}

}  // namespace zq
