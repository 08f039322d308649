#include "agent/base/impairment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace zq {

namespace {

constexpr std::size_t kMinTable = 16;
constexpr std::size_t kMaxTable = 16384;

std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_ICMP:
      return "icmp";
    default:
      return fmt::format("protocol {}", protocol);
  }
}

std::string port_list(const std::vector<PortRange>& ranges) {
  std::string text;
  for (const PortRange& range : ranges) {
    if (!text.empty()) text += ',';
    text += range.first == range.last ? std::to_string(range.first)
                                      : fmt::format("{}-{}", range.first, range.last);
  }
  return text;
}

// At most three decimals, without zeros at the end.
std::string short_number(double value) {
  std::string text = fmt::format("{:.3f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string percent(double probability) {
  if (probability > 0 && probability < 0.00001) return fmt::format("{:.3g}%", probability * 100);
  return short_number(probability * 100) + "%";
}

std::string_view name_of(Distribution distribution) {
  switch (distribution) {
    case Distribution::kUniform:
      return "uniform";
    case Distribution::kNormal:
      return "normal";
    case Distribution::kPareto:
      return "pareto";
    case Distribution::kParetoNormal:
      return "paretonormal";
    case Distribution::kCustom:
      return "from a table";
  }
  return "";
}

std::string loss_in_words(const LossModel& loss) {
  const auto& value = loss.parameters;
  switch (loss.kind) {
    case LossModel::Kind::kNone:
      return "";
    case LossModel::Kind::kRandom: {
      std::string text = "loss " + percent(value[0]);
      if (value[1] > 0) text += " correlation " + percent(value[1]);
      return text;
    }
    case LossModel::Kind::kGilbertElliott:
      return fmt::format("loss gilbert-elliott p {} r {} bad {} good {} ({} in the long run)",
                         percent(value[0]), percent(value[1]), percent(value[2]), percent(value[3]),
                         percent(loss.expected()));
    case LossModel::Kind::kFourState:
      return fmt::format("loss 4-state p13 {} p31 {} p32 {} p23 {} p14 {} ({} in the long run)",
                         percent(value[0]), percent(value[1]), percent(value[2]), percent(value[3]),
                         percent(value[4]), percent(loss.expected()));
  }
  return "";
}

// Of tc-netem's chain: 1 good, 2 good within a burst, 3 lost within a burst, 4 lost alone.
double four_state_loss(const std::array<double, 5>& parameters) {
  const auto [p13, p31, p32, p23, p14] = parameters;
  if (p13 == 0) return p14 / (1 + p14);  // between 1 and 4 only
  if (p31 == 0) {                        // 1 is left for good
    if (p32 == 0) return 1;
    return p23 / (p23 + p32);
  }
  if (p32 > 0 && p23 == 0) return 0;  // the chain ends in 2
  const double state3 = p13 / p31;    // relative to state 1
  const double state2 = p32 > 0 ? state3 * p32 / p23 : 0;
  return (state3 + p14) / (1 + state2 + state3 + p14);
}

Status check_probability(std::string_view what, double value) {
  if (value >= 0 && value <= 1) return {};  // refuses NaN too
  return fail(ErrorCode::kInput, "{} is {}; expected 0 to 1 (0% to 100%)", what, value);
}

Status check_sum(std::string_view first, double one, std::string_view second, double two) {
  if (one + two <= 1) return {};
  return fail(ErrorCode::kInput, "loss: {} and {} together are {}; expected at most 100%", first,
              second, percent(one + two));
}

Status check_loss(const LossModel& loss) {
  for (const double value : loss.parameters) ZQ_CHECK(check_probability("a loss parameter", value));
  const auto& value = loss.parameters;
  switch (loss.kind) {
    case LossModel::Kind::kNone:
      break;
    case LossModel::Kind::kRandom:
      if (value[1] > 0 && value[0] == 0) {
        return fail(ErrorCode::kInput, "loss has a correlation, but no probability");
      }
      break;
    case LossModel::Kind::kGilbertElliott:
      break;
    case LossModel::Kind::kFourState:
      ZQ_CHECK(check_sum("p13", value[0], "p14", value[4]));
      ZQ_CHECK(check_sum("p31", value[1], "p32", value[2]));
      break;
  }
  return {};
}

Status check_delay(const Impairment& impairment) {
  if (impairment.delay < Nanos{0} || impairment.jitter < Nanos{0}) {
    return fail(ErrorCode::kInput, "delay and jitter must not be negative");
  }
  if (impairment.delay > kMaxDelay || impairment.delay + impairment.jitter > kMaxDelay) {
    return fail(ErrorCode::kInput, "delay and jitter are {} together; expected at most {}",
                format_duration(impairment.delay + impairment.jitter), format_duration(kMaxDelay));
  }
  if (impairment.jitter > Nanos{0} && impairment.jitter >= impairment.delay) {
    return fail(ErrorCode::kInput, "jitter {} needs a delay that is longer, but that is {}",
                format_duration(impairment.jitter), format_duration(impairment.delay));
  }
  ZQ_CHECK(check_probability("correlation", impairment.delay_correlation));
  if (impairment.jitter == Nanos{0} && impairment.delay_correlation > 0) {
    return fail(ErrorCode::kInput, "correlation is that of the jitter, but there is no jitter");
  }
  if (impairment.jitter == Nanos{0} && impairment.distribution != Distribution::kUniform) {
    return fail(ErrorCode::kInput, "distribution is that of the jitter, but there is no jitter");
  }
  const std::size_t entries = impairment.table.size();
  if (impairment.distribution != Distribution::kCustom && entries > 0) {
    return fail(ErrorCode::kInput, "a distribution by name has no table");
  }
  if (impairment.distribution == Distribution::kCustom &&
      (entries < kMinTable || entries > kMaxTable)) {
    return fail(ErrorCode::kInput, "the distribution's table has {} values; expected {} to {}",
                entries, kMinTable, kMaxTable);
  }
  return {};
}

}  // namespace

bool has_ports(std::uint8_t protocol) {
  static constexpr std::array kProtocols{IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_UDPLITE,
                                         IPPROTO_DCCP};
  return std::find(kProtocols.begin(), kProtocols.end(), protocol) != kProtocols.end();
}

std::string to_string(const Scope& scope) {
  if (scope.everything()) return "all";
  std::vector<std::string> words;
  if (scope.protocol != 0) words.push_back(protocol_name(scope.protocol));
  if (!scope.ports.empty()) words.push_back("ports " + port_list(scope.ports));
  if (!scope.source_ports.empty()) words.push_back("from " + port_list(scope.source_ports));
  if (!scope.destination_ports.empty()) words.push_back("to " + port_list(scope.destination_ports));
  return fmt::format("{}", fmt::join(words, " "));
}

double LossModel::expected() const {
  switch (kind) {
    case Kind::kNone:
      return 0;
    case Kind::kRandom:
      return parameters[0];
    case Kind::kGilbertElliott: {
      const auto [p, r, bad, good, unused] = parameters;
      if (p + r == 0) return good;  // stays where it begins
      return (p * bad + r * good) / (p + r);
    }
    case Kind::kFourState:
      return four_state_loss(parameters);
  }
  return 0;
}

double Impairment::missing_share() const { return loss.expected() * (1 - duplicate); }

double Impairment::doubled_share() const {
  const double arriving = 1 - missing_share();
  return arriving > 0 ? duplicate * (1 - loss.expected()) / arriving : 0;
}

Status check(const Impairment& impairment) {
  ZQ_CHECK(check_delay(impairment));
  ZQ_CHECK(check_loss(impairment.loss));
  ZQ_CHECK(check_probability("duplicate", impairment.duplicate));
  ZQ_CHECK(check_probability("corrupt", impairment.corrupt));
  ZQ_CHECK(check_probability("reorder", impairment.reorder));
  if (impairment.reorder > 0 && impairment.delay == Nanos{0}) {
    return fail(ErrorCode::kInput,
                "reorder lets packets skip the delay, but there is no delay; add one");
  }
  const std::uint64_t rate = impairment.rate_bps;
  if (rate != 0 && (rate < kMinRateBps || rate > kMaxRateBps)) {
    return fail(ErrorCode::kInput, "rate is {}; expected {} to {}", format_rate(rate),
                format_rate(kMinRateBps), format_rate(kMaxRateBps));
  }
  if (!impairment.queues() && impairment.loss.expected() == 0 && impairment.duplicate == 0) {
    return fail(ErrorCode::kInput,
                "nothing is impaired; set a delay, loss, duplicate, corrupt, reorder or rate above "
                "zero");
  }
  return {};
}

std::string to_string(const Impairment& impairment) {
  std::vector<std::string> parts;
  if (impairment.delay > Nanos{0}) {
    std::string text = "delay " + format_duration(impairment.delay);
    if (impairment.jitter > Nanos{0}) {
      text += fmt::format(" +-{} {}", format_duration(impairment.jitter),
                          name_of(impairment.distribution));
    }
    if (impairment.delay_correlation > 0) {
      text += " correlation " + percent(impairment.delay_correlation);
    }
    parts.push_back(std::move(text));
  }
  if (std::string text = loss_in_words(impairment.loss); !text.empty()) {
    parts.push_back(std::move(text));
  }
  const auto add_share = [&](const char* what, double share) {
    if (share > 0) parts.push_back(fmt::format("{} {}", what, percent(share)));
  };
  add_share("duplicate", impairment.duplicate);
  add_share("corrupt", impairment.corrupt);
  add_share("reorder", impairment.reorder);
  if (impairment.rate_bps > 0) parts.push_back("rate " + format_rate(impairment.rate_bps));
  if (parts.empty()) return "nothing";
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string format_rate(std::uint64_t bits_per_second) {
  const auto rate = static_cast<double>(bits_per_second);
  if (bits_per_second >= 1'000'000'000) return short_number(rate / 1e9) + "Gbit/s";
  if (bits_per_second >= 1'000'000) return short_number(rate / 1e6) + "Mbit/s";
  if (bits_per_second >= 1'000) return short_number(rate / 1e3) + "kbit/s";
  return fmt::format("{}bit/s", bits_per_second);
}

}  // namespace zq
