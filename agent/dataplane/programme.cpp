#include "agent/dataplane/programme.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <numeric>
#include <utility>

#include "agent/dataplane/bpf/gate_shared.h"
#include "agent/dataplane/kernel_map.h"

namespace zq {
namespace {

// The earlier of two instants, where 0 means never.
std::int64_t earlier(std::int64_t a, std::uint64_t b) {
  const auto other = static_cast<std::int64_t>(b);
  if (a == 0 || other == 0) return std::max(a, other);
  return std::min(a, other);
}

std::int64_t later(std::int64_t a, std::uint64_t b) {
  return std::max(a, static_cast<std::int64_t>(b));
}

void add(WindowEvidence& sum, const zq_evidence& value) {
  sum.dropped_packets += value.dropped_packets;
  sum.dropped_bytes += value.dropped_bytes;
  sum.passed_packets += value.passed_packets;
  sum.exempt_packets += value.exempt_packets;
  sum.last_passed_ns = later(sum.last_passed_ns, value.last_passed_ns);
  sum.first_dropped_ns = earlier(sum.first_dropped_ns, value.first_dropped_ns);
  sum.last_dropped_ns = later(sum.last_dropped_ns, value.last_dropped_ns);
  sum.first_passed_ns = earlier(sum.first_passed_ns, value.first_passed_ns);
  sum.impaired_packets += value.impaired_packets;
  sum.impaired_bytes += value.impaired_bytes;
  sum.impaired_segments += value.impaired_segments;
  sum.lost_packets += value.lost_packets;
  sum.duplicated_packets += value.duplicated_packets;
  sum.first_impaired_ns = earlier(sum.first_impaired_ns, value.first_impaired_ns);
  sum.last_impaired_ns = later(sum.last_impaired_ns, value.last_impaired_ns);
  sum.held_dropped_packets += value.held_dropped_packets;
  sum.held_passed_packets += value.held_passed_packets;
  sum.last_held_ns = later(sum.last_held_ns, value.last_held_ns);
}

// The kernel notes a passage at the windows of a scope next to it only; where there was none
// between two of them, the last before and the first after lie beyond the neighbour.
void bridge_gaps(std::vector<WindowEvidence>& evidence, std::size_t first) {
  std::map<Scope, std::vector<WindowEvidence*>> chains;
  for (std::size_t i = first; i < evidence.size(); ++i) {
    const GateRule::Segment& window = evidence[i].window;
    if (window.treatment != Treatment::kImpair) chains[window.scope].push_back(&evidence[i]);
  }
  for (auto& [scope, chain] : chains) {
    std::ranges::stable_sort(chain, {}, [](const WindowEvidence* e) { return e->window.from; });
    for (std::size_t i = 1; i < chain.size(); ++i) {
      if (chain[i]->last_passed_ns == 0) chain[i]->last_passed_ns = chain[i - 1]->last_passed_ns;
    }
    for (std::size_t i = chain.size(); i-- > 1;) {
      if (chain[i - 1]->first_passed_ns == 0) {
        chain[i - 1]->first_passed_ns = chain[i]->first_passed_ns;
      }
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

Result<std::vector<Programme::Rule>> Programme::link(const GateProgramme& programme,
                                                     const QueueOf& queue_of,
                                                     std::uint32_t slot) const {
  std::vector<Rule> rules;
  std::vector<std::uint32_t> keys;
  std::vector<zq_chance> chances;
  for (const GateRule& rule : programme.rules) {
    std::map<std::uint32_t, SegmentLinks> known;  // by impairment
    std::vector<SegmentLinks> links;
    for (const GateRule::Segment& segment : rule.segments) {
      if (segment.treatment != Treatment::kImpair) {
        links.emplace_back();
        continue;
      }
      const auto [found, fresh] = known.try_emplace(segment.impairment);
      const Impairment& impairment = programme.impairments[segment.impairment];
      if (fresh && has_chance(impairment)) {
        keys.push_back(slot * ZQ_MAX_CHANCES + static_cast<std::uint32_t>(keys.size()));
        chances.push_back(kernel_chance(impairment));
        found->second.chance = keys.back() + 1;
      }
      if (fresh && impairment.queues()) found->second.queue = queue_of(rule, segment.impairment);
      links.push_back(found->second);
    }
    rules.push_back({rule, std::move(links)});
  }
  if (keys.size() > ZQ_MAX_CHANCES) {
    return fail(ErrorCode::kInput,
                "programme: {} pairs of a group and an impairment with loss or duplicates, at most "
                "{} fit",
                keys.size(), ZQ_MAX_CHANCES);
  }
  ZQ_CHECK(fill_map(maps_.chances_fd, "zq_chances", keys, chances));
  return rules;
}

Status Programme::load(const GateProgramme& programme, const QueueOf& queue_of) {
  // The other slot is idle: replacing a programme waits until no packet runs under the old one.
  const std::uint32_t slot = 1 - slot_;
  ZQ_TRY(auto rules, link(programme, queue_of, slot));
  ZQ_TRY(const std::size_t cpus, possible_cpus());
  std::size_t segments = 0;
  for (const GateRule& rule : programme.rules) segments += rule.segments.size();
  std::vector<std::uint32_t> keys(segments);
  std::iota(keys.begin(), keys.end(), 0U);
  const std::vector<zq_evidence> blank(keys.size() * cpus);
  ZQ_TRY(UniqueFd evidence, create_map(BPF_MAP_TYPE_PERCPU_HASH, "zq_evidence", sizeof(keys[0]),
                                       sizeof(zq_evidence), keys.size()));
  ZQ_CHECK(fill_map(evidence.get(), "zq_evidence", keys, blank));

  ZQ_CHECK(set_inner(maps_.evidences_fd, slot, evidence.get(), "evidence"));
  ZQ_CHECK(put(rules, slot, MonoTime::max()));
  slot_ = slot;
  evidence_ = std::move(evidence);
  rules_ = std::move(rules);
  return {};
}

Status Programme::heal(MonoTime now) { return put(rules_, slot_, now); }

Status Programme::put(const std::vector<Rule>& rules, std::uint32_t slot, MonoTime end) {
  std::vector<zq_programme_key> keys;
  std::vector<zq_programme_entry> entries;
  std::uint32_t evidence = 0;
  for (const auto& [rule, links] : rules) {
    keys.push_back({static_cast<std::uint32_t>(rule.direction), rule.group});
    entries.push_back(kernel_entry(rule, links, slot, evidence, end));
    evidence += static_cast<std::uint32_t>(rule.segments.size());
  }
  ZQ_TRY(const UniqueFd map, create_map(BPF_MAP_TYPE_HASH, "zq_programme", sizeof(zq_programme_key),
                                        sizeof(zq_programme_entry), keys.size()));
  ZQ_CHECK(fill_map(map.get(), "zq_programme", keys, entries));
  return set_inner(maps_.programmes_fd, 0, map.get(), "programme");
}

Result<std::vector<WindowEvidence>> Programme::evidence() const {
  std::vector<WindowEvidence> result;
  std::uint32_t key = 0;
  for (const auto& [rule, links] : rules_) {
    const std::size_t first = result.size();
    for (const GateRule::Segment& window : rule.segments) {
      WindowEvidence& sum = result.emplace_back();
      sum.direction = rule.direction;
      sum.group = rule.group;
      sum.window = window;
      sum.segment = static_cast<std::uint32_t>(result.size() - first - 1);
      ZQ_TRY(const auto values, read_per_cpu<zq_evidence>(evidence_.get(), key));
      for (const zq_evidence& value : values) add(sum, value);
      ++key;
    }
    bridge_gaps(result, first);
  }
  return result;
}

}  // namespace zq
