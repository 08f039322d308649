#include "agent/dataplane/programme.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <set>
#include <utility>

#include "agent/dataplane/bpf/gate_shared.h"
#include "agent/dataplane/kernel_map.h"

namespace zq {
namespace {

const char* name_of(FlowDirection direction) {
  return direction == FlowDirection::kEgress ? "egress" : "ingress";
}

Status check_rules(const std::vector<GateRule>& rules, std::uint32_t groups) {
  std::set<std::pair<FlowDirection, std::uint32_t>> seen;
  for (const GateRule& rule : rules) {
    const std::string where = fmt::format("{} of group {}", name_of(rule.direction), rule.group);
    if (rule.group >= groups) {
      return fail(ErrorCode::kInput, "programme: {}, but there are {} groups", where, groups);
    }
    if (!seen.emplace(rule.direction, rule.group).second) {
      return fail(ErrorCode::kInput, "programme: {} has two rules", where);
    }
    if (rule.segments.size() > kMaxSegments) {
      return fail(ErrorCode::kInput, "programme: {} has {} windows, at most {} fit", where,
                  rule.segments.size(), kMaxSegments);
    }
    MonoTime before{};
    for (const GateRule::Segment& window : rule.segments) {
      if (window.treatment != Treatment::kDrop || !window.scope.everything() ||
          window.period != Nanos{0}) {
        return fail(ErrorCode::kRefused,
                    "programme: {}: this gate can only drop everything, all the time", where);
      }
      if (window.from < before || window.until <= window.from) {
        return fail(ErrorCode::kInput,
                    "programme: windows of {} must be in order, not overlap, and"
                    " not be empty",
                    where);
      }
      before = window.until;
    }
  }
  return {};
}

std::size_t count_windows(const std::vector<GateRule>& rules) {
  return std::accumulate(
      rules.begin(), rules.end(), std::size_t{0},
      [](std::size_t sum, const GateRule& rule) { return sum + rule.segments.size(); });
}

// The earlier of two instants, where 0 means never.
std::int64_t earlier(std::int64_t a, std::uint64_t b) {
  const auto other = static_cast<std::int64_t>(b);
  if (a == 0 || other == 0) return std::max(a, other);
  return std::min(a, other);
}

void add(WindowEvidence& sum, const zq_evidence& value) {
  sum.dropped_packets += value.dropped_packets;
  sum.dropped_bytes += value.dropped_bytes;
  sum.passed_packets += value.passed_packets;
  sum.exempt_packets += value.exempt_packets;
  sum.last_passed_ns =
      std::max(sum.last_passed_ns, static_cast<std::int64_t>(value.last_passed_ns));
  sum.first_dropped_ns = earlier(sum.first_dropped_ns, value.first_dropped_ns);
  sum.last_dropped_ns =
      std::max(sum.last_dropped_ns, static_cast<std::int64_t>(value.last_dropped_ns));
  sum.first_passed_ns = earlier(sum.first_passed_ns, value.first_passed_ns);
}

// The kernel notes a passage at the windows next to it only; where there was none between two
// windows, the last before and the first after lie beyond the neighbour.
void bridge_gaps(std::vector<WindowEvidence>& evidence, std::size_t first) {
  for (std::size_t i = first + 1; i < evidence.size(); ++i) {
    if (evidence[i].last_passed_ns == 0)
      evidence[i].last_passed_ns = evidence[i - 1].last_passed_ns;
  }
  for (std::size_t i = evidence.size(); i-- > first + 1;) {
    if (evidence[i - 1].first_passed_ns == 0) {
      evidence[i - 1].first_passed_ns = evidence[i].first_passed_ns;
    }
  }
}

Status set_inner(int outer_fd, std::uint32_t slot, int inner_fd, const char* what) {
  if (bpf_map_update_elem(outer_fd, &slot, &inner_fd, BPF_ANY) != 0) {
    return fail_errno(errno, fmt::format("putting the {} in force", what));
  }
  return {};
}

}  // namespace

Status Programme::load(const GateProgramme& programme) {
  const std::vector<GateRule>& rules = programme.rules;
  ZQ_CHECK(check_rules(rules, groups_));
  ZQ_TRY(const std::size_t cpus, possible_cpus());
  std::vector<std::uint32_t> keys(count_windows(rules));
  std::iota(keys.begin(), keys.end(), 0U);
  const std::vector<zq_evidence> blank(keys.size() * cpus);
  ZQ_TRY(UniqueFd evidence, create_map(BPF_MAP_TYPE_PERCPU_HASH, "zq_evidence", sizeof(keys[0]),
                                       sizeof(zq_evidence), keys.size()));
  ZQ_CHECK(fill_map(evidence.get(), "zq_evidence", keys, blank));

  // The other slot is idle: replacing a programme waits until no packet runs under the old one.
  const std::uint32_t slot = 1 - slot_;
  ZQ_CHECK(set_inner(evidences_fd_, slot, evidence.get(), "evidence"));
  ZQ_CHECK(put(rules, slot, MonoTime::max()));
  slot_ = slot;
  evidence_ = std::move(evidence);
  rules_ = rules;
  return {};
}

Status Programme::heal(MonoTime now) { return put(rules_, slot_, now); }

Status Programme::put(const std::vector<GateRule>& rules, std::uint32_t slot, MonoTime end) {
  std::vector<zq_programme_key> keys;
  std::vector<zq_programme_entry> entries;
  std::uint32_t evidence = 0;
  for (const GateRule& rule : rules) {
    zq_programme_entry entry{};
    entry.evidence_slot = slot;
    entry.evidence_first = evidence;
    for (const GateRule::Segment& window : rule.segments) {
      if (window.from >= end) break;
      zq_window& in_kernel = entry.window[entry.windows++];
      in_kernel.from = static_cast<std::uint64_t>(to_ns(window.from));
      in_kernel.until = static_cast<std::uint64_t>(to_ns(std::min(window.until, end)));
    }
    evidence += static_cast<std::uint32_t>(rule.segments.size());
    keys.push_back({static_cast<std::uint32_t>(rule.direction), rule.group});
    entries.push_back(entry);
  }
  ZQ_TRY(const UniqueFd map, create_map(BPF_MAP_TYPE_HASH, "zq_programme", sizeof(zq_programme_key),
                                        sizeof(zq_programme_entry), keys.size()));
  ZQ_CHECK(fill_map(map.get(), "zq_programme", keys, entries));
  return set_inner(programmes_fd_, 0, map.get(), "programme");
}

Result<std::vector<WindowEvidence>> Programme::evidence() const {
  std::vector<WindowEvidence> result;
  std::uint32_t key = 0;
  for (const GateRule& rule : rules_) {
    const std::size_t first = result.size();
    std::uint32_t place = 0;
    for (const GateRule::Segment& window : rule.segments) {
      WindowEvidence& sum = result.emplace_back();
      sum.direction = rule.direction;
      sum.group = rule.group;
      sum.window = window;
      sum.segment = place++;
      ZQ_TRY(const auto values, read_per_cpu<zq_evidence>(evidence_.get(), key));
      for (const zq_evidence& value : values) add(sum, value);
      ++key;
    }
    bridge_gaps(result, first);
  }
  return result;
}

}  // namespace zq
