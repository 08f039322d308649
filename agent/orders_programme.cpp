// LoadRequest turned into a programme for the gate.
#include <set>

#include "agent/orders.h"

namespace zq {
namespace {

constexpr std::size_t kMaxImpairments = kMaxQueues;
constexpr std::size_t kMaxTable = 16'384;  // of netem

Result<std::vector<PortRange>> read_ports(
    const google::protobuf::RepeatedPtrField<zonequake::PortRange>& entries,
    const std::string& where) {
  std::vector<PortRange> ranges;
  for (const auto& entry : entries) {
    if (entry.first() > entry.last() || entry.last() > 65'535) {
      return fail(ErrorCode::kInput, "{}: ports {}-{} are no range within 0-65535", where,
                  entry.first(), entry.last());
    }
    ranges.push_back(
        {static_cast<std::uint16_t>(entry.first()), static_cast<std::uint16_t>(entry.last())});
  }
  return ranges;
}

Result<Scope> read_scope(const zonequake::Scope& message, const std::string& where) {
  Scope scope;
  if (message.protocol() > 255) {
    return fail(ErrorCode::kInput, "{}: IP protocol {} is above 255", where, message.protocol());
  }
  scope.protocol = static_cast<std::uint8_t>(message.protocol());
  ZQ_TRY(scope.ports, read_ports(message.ports(), where));
  ZQ_TRY(scope.source_ports, read_ports(message.source_ports(), where));
  ZQ_TRY(scope.destination_ports, read_ports(message.destination_ports(), where));
  return scope;
}

Result<Impairment> read_impairment(const zonequake::Impairment& message, int place) {
  const std::string where = fmt::format("impairment {}", place);
  if (message.distribution() > static_cast<std::uint32_t>(Distribution::kCustom)) {
    return fail(ErrorCode::kInput, "{}: distribution {} is unknown", where, message.distribution());
  }
  if (message.loss_kind() > static_cast<std::uint32_t>(LossModel::Kind::kFourState)) {
    return fail(ErrorCode::kInput, "{}: loss model {} is unknown", where, message.loss_kind());
  }
  Impairment impairment;
  if (static_cast<std::size_t>(message.loss_parameters_size()) >
      impairment.loss.parameters.size()) {
    return fail(ErrorCode::kInput, "{}: {} loss parameters, at most {} are possible", where,
                message.loss_parameters_size(), impairment.loss.parameters.size());
  }
  if (static_cast<std::size_t>(message.table_size()) > kMaxTable) {
    return fail(ErrorCode::kInput, "{}: a table of {} values, at most {} are possible", where,
                message.table_size(), kMaxTable);
  }
  for (const auto value : message.table()) {
    if (value < INT16_MIN || value > INT16_MAX) {
      return fail(ErrorCode::kInput, "{}: table value {} does not fit 16 bits", where, value);
    }
    impairment.table.push_back(static_cast<std::int16_t>(value));
  }
  impairment.delay = Nanos{message.delay_ns()};
  impairment.jitter = Nanos{message.jitter_ns()};
  impairment.delay_correlation = message.delay_correlation();
  impairment.distribution = static_cast<Distribution>(message.distribution());
  impairment.loss.kind = static_cast<LossModel::Kind>(message.loss_kind());
  std::copy(message.loss_parameters().begin(), message.loss_parameters().end(),
            impairment.loss.parameters.begin());
  impairment.duplicate = message.duplicate();
  impairment.corrupt = message.corrupt();
  impairment.reorder = message.reorder();
  impairment.rate_bps = message.rate_bps();
  return impairment;
}

Result<GateRule::Segment> read_segment(const zonequake::Segment& message,
                                       const std::string& where) {
  GateRule::Segment segment;
  if (message.from_mono_ns() < 0 || message.until_mono_ns() <= message.from_mono_ns()) {
    return fail(ErrorCode::kInput, "{}: window [{}, {}) is empty", where, message.from_mono_ns(),
                message.until_mono_ns());
  }
  if (!zonequake::Treatment_IsValid(message.treatment())) {
    return fail(ErrorCode::kInput, "{}: treatment {} is unknown", where,
                static_cast<int>(message.treatment()));
  }
  segment.from = mono_from_ns(message.from_mono_ns());
  segment.until = mono_from_ns(message.until_mono_ns());
  segment.period = Nanos{message.period_ns()};
  segment.on = Nanos{message.on_ns()};
  ZQ_TRY(segment.scope, read_scope(message.scope(), where));
  segment.treatment = static_cast<Treatment>(message.treatment());
  segment.impairment = message.impairment();
  return segment;
}

}  // namespace

Result<GateProgramme> read_programme(const zonequake::LoadRequest& request, std::uint32_t groups) {
  GateProgramme programme;
  if (static_cast<std::size_t>(request.impairments_size()) > kMaxImpairments) {
    return fail(ErrorCode::kInput, "impairments: {} entries, at most {} are possible",
                request.impairments_size(), kMaxImpairments);
  }
  for (int i = 0; i < request.impairments_size(); ++i) {
    ZQ_TRY(auto impairment, read_impairment(request.impairments(i), i));
    programme.impairments.push_back(std::move(impairment));
  }
  std::set<std::pair<int, std::uint32_t>> seen;
  for (const auto& entry : request.rules()) {
    if (!zonequake::FlowDirection_IsValid(entry.direction())) {
      return fail(ErrorCode::kInput, "rule: direction {} is unknown",
                  static_cast<int>(entry.direction()));
    }
    const std::string where = fmt::format(
        "rule {} group {}", zonequake::FlowDirection_Name(entry.direction()), entry.group());
    if (entry.group() >= groups) {
      return fail(ErrorCode::kInput, "{}: there are {} groups", where, groups);
    }
    if (!seen.insert({entry.direction(), entry.group()}).second) {
      return fail(ErrorCode::kInput, "{}: given twice", where);
    }
    if (static_cast<std::size_t>(entry.segments_size()) > kMaxSegments) {
      return fail(ErrorCode::kInput, "{}: {} segments, at most {} are possible", where,
                  entry.segments_size(), kMaxSegments);
    }
    GateRule rule;
    rule.direction =
        entry.direction() == zonequake::EGRESS ? FlowDirection::kEgress : FlowDirection::kIngress;
    rule.group = entry.group();
    for (const auto& message : entry.segments()) {
      ZQ_TRY(auto segment, read_segment(message, where));
      rule.segments.push_back(std::move(segment));
    }
    programme.rules.push_back(std::move(rule));
  }
  return programme;
}

}  // namespace zq
