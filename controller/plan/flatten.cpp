#include "controller/plan/flatten.h"

#include <algorithm>
#include <functional>
#include <set>
#include <tuple>

#include "controller/plan/combine.h"
#include "controller/plan/scopes.h"

namespace zq {

namespace {

constexpr Nanos kAlways{0};

std::vector<Window> merge(std::vector<Window> windows) {
  std::sort(windows.begin(), windows.end());
  std::vector<Window> merged;
  for (const Window& window : windows) {
    if (!merged.empty() && window.from <= merged.back().until) {
      merged.back().until = std::max(merged.back().until, window.until);
    } else {
      merged.push_back(window);
    }
  }
  return merged;
}

// Segments of drops, or of rejects. They may overlap: whichever decides, the outcome is the same.
void add_cuts(const std::vector<Ask>& asks, Treatment treatment,
              std::vector<FaultSegment>& segments) {
  std::map<Scope, std::vector<Window>> steady;
  std::set<std::tuple<Scope, Window, Nanos, Nanos>> flapping;
  for (const Ask& ask : asks) {
    if (ask.treatment != treatment) continue;
    if (ask.fault->period == kAlways) {
      steady[ask.scope].push_back(ask.window);
    } else {
      flapping.insert({ask.scope, ask.window, ask.fault->period, ask.fault->on});
    }
  }
  for (auto& [scope, windows] : steady) {
    for (const Window& window : merge(std::move(windows))) {
      segments.push_back({.window = window, .scope = scope, .treatment = treatment});
    }
  }
  for (const auto& [scope, window, period, on] : flapping) {
    segments.push_back(
        {.window = window, .period = period, .on = on, .scope = scope, .treatment = treatment});
  }
}

// An impairment of some packets in a stretch of time, for which nothing else changes.
struct Stretch {
  Scope scope;
  const Ask* flapping = nullptr;  // in force only while this one is
  Window window;
  std::size_t impairment = 0;

  // Within one instant narrower scopes come before everything, and what flaps before what is under
  // it. Stretches of one rank are disjoint in time.
  [[nodiscard]] auto rank() const {
    return std::tuple(scope.everything(), scope, flapping == nullptr);
  }
  [[nodiscard]] bool continues(const Stretch& before) const {
    return rank() == before.rank() && flapping_of() == before.flapping_of() &&
           impairment == before.impairment && window.from == before.window.until;
  }

 private:
  // What decides when it is on.
  [[nodiscard]] std::tuple<Nanos, Nanos, Nanos> flapping_of() const {
    if (flapping == nullptr) return {};
    return {flapping->begin, flapping->fault->period, flapping->fault->on};
  }
};

// A segment's flapping counts from its own start, the fault's from the fault's: what is left of the
// cycle in which the stretch begins goes first.
void add_stretch(const Stretch& stretch, std::vector<FaultSegment>& segments) {
  FaultSegment segment{.window = stretch.window,
                       .scope = stretch.scope,
                       .treatment = Treatment::kImpair,
                       .impairment = stretch.impairment};
  if (stretch.flapping == nullptr) {
    segments.push_back(std::move(segment));
    return;
  }
  const Nanos period = stretch.flapping->fault->period;
  const Nanos on = stretch.flapping->fault->on;
  const Nanos into = (stretch.window.from - stretch.flapping->begin) % period;
  if (into > Nanos{0} && into < on) {
    FaultSegment rest = segment;
    rest.window.until = std::min(stretch.window.until, stretch.window.from + on - into);
    segments.push_back(std::move(rest));
  }
  if (into > Nanos{0}) segment.window.from += period - into;
  segment.period = period;
  segment.on = on;
  if (segment.window.from < segment.window.until) segments.push_back(std::move(segment));
}

// Whether a flapping fault is on at all within the stretch.
bool ever_on(const Ask& flapping, const Window& window) {
  const Nanos into = (window.from - flapping.begin) % flapping.fault->period;
  return into < flapping.fault->on || window.until - window.from > flapping.fault->period - into;
}

// The impairments of one border.
class Impairments {
 public:
  Impairments(const std::vector<Ask>& asks, ImpairmentTable& table) : table_(table) {
    for (const Ask& ask : asks) {
      if (ask.treatment == Treatment::kImpair) asks_.push_back(&ask);
    }
  }

  Status add_to(std::vector<FaultSegment>& segments) {
    std::set<Nanos> edges;
    for (const Ask* ask : asks_) edges.insert({ask->window.from, ask->window.until});
    for (auto edge = edges.begin(); edge != edges.end() && std::next(edge) != edges.end(); ++edge) {
      ZQ_CHECK(look_at({*edge, *std::next(edge)}));
    }
    std::stable_sort(stretches_.begin(), stretches_.end(), [](const Stretch& a, const Stretch& b) {
      return std::tuple(a.rank(), a.window.from) < std::tuple(b.rank(), b.window.from);
    });
    std::vector<Stretch> joined;
    for (Stretch& stretch : stretches_) {
      if (!joined.empty() && stretch.continues(joined.back())) {
        joined.back().window.until = stretch.window.until;
      } else {
        joined.push_back(std::move(stretch));
      }
    }
    for (const Stretch& stretch : joined) add_stretch(stretch, segments);
    return {};
  }

 private:
  using List = std::vector<const Ask*>;  // in order of the faults

  // Every ask is in force for the whole of the window, or for nothing of it.
  Status look_at(const Window& window) {
    List general;
    std::map<Scope, List> narrow;
    for (const Ask* ask : asks_) {
      if (window.from < ask->window.from || ask->window.until < window.until) continue;
      (ask->scope.everything() ? general : narrow[ask->scope]).push_back(ask);
    }
    ZQ_CHECK(check_scopes(narrow));
    for (auto& [scope, list] : narrow) {
      list.insert(list.end(), general.begin(), general.end());
      std::sort(list.begin(), list.end());
      ZQ_CHECK(add(window, scope, list));
    }
    return add(window, Scope{}, general);
  }

  static Status check_scopes(const std::map<Scope, List>& narrow) {
    for (auto one = narrow.begin(); one != narrow.end(); ++one) {
      for (auto two = std::next(one); two != narrow.end(); ++two) {
        if (!overlap(one->first, two->first)) continue;
        return fail(ErrorCode::kInput,
                    "{} impairs '{}', and {} impairs '{}' at the same time; a packet can be in "
                    "both, and a kernel can hold it to one only: make one of them about all "
                    "packets, both about the same ones, or give them different times",
                    one->second.front()->fault->position.to_string(), to_string(one->first),
                    two->second.front()->fault->position.to_string(), to_string(two->first));
      }
    }
    return {};
  }

  Status add(const Window& window, const Scope& scope, const List& list) {
    List steady;
    const Ask* flapping = nullptr;
    bool own = scope.everything();  // what is steady is not only what is asked for everything
    for (const Ask* ask : list) {
      if (ask->fault->period == kAlways) {
        steady.push_back(ask);
        own = own || !ask->scope.everything();
      } else if (flapping == nullptr) {
        flapping = ask;
      } else {
        return fail(ErrorCode::kInput,
                    "{} flaps while {} flaps for the same packets; only one impairment of a packet "
                    "can, over others that do not",
                    flapping->fault->position.to_string(), ask->fault->position.to_string());
      }
    }
    if (flapping != nullptr && ever_on(*flapping, window)) {
      ZQ_TRY(const std::size_t all, combine_all(list));
      stretches_.push_back({scope, flapping, window, all});
    }
    if (steady.empty() || !own) return {};
    ZQ_TRY(const std::size_t all, combine_all(steady));
    stretches_.push_back({scope, nullptr, window, all});
    return {};
  }

  Result<std::size_t> combine_all(const List& list) {
    Impairment all = list.front()->impairment;
    for (std::size_t i = 1; i < list.size(); ++i) {
      auto both = combine(all, list[i]->impairment);
      if (!both) {
        return fail(
            ErrorCode::kInput,
            "{} and {} impair the same packets at the same time and cannot be combined: {}; "
            "give them different times",
            list[i - 1]->fault->position.to_string(), list[i]->fault->position.to_string(),
            both.error().message);
      }
      all = *std::move(both);
    }
    return table_.add(all);
  }

  ImpairmentTable& table_;
  List asks_;
  std::vector<Stretch> stretches_;
};

std::size_t hash_of(const Impairment& impairment) {
  std::size_t hash = 0;
  const auto mix = [&](auto value) {
    hash = hash * 1'000'003 + std::hash<decltype(value)>{}(value);
  };
  mix(impairment.delay.count());
  mix(impairment.jitter.count());
  mix(impairment.rate_bps);
  mix(impairment.duplicate);
  mix(impairment.corrupt);
  for (const double parameter : impairment.loss.parameters) mix(parameter);
  return hash;
}

}  // namespace

std::size_t ImpairmentTable::add(const Impairment& impairment) {
  const std::size_t hash = hash_of(impairment);
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    if (impairments_[it->second] == impairment) return it->second;
  }
  by_hash_.emplace(hash, impairments_.size());
  impairments_.push_back(impairment);
  return impairments_.size() - 1;
}

Result<std::vector<FaultSegment>> flatten(const std::vector<Ask>& asks, ImpairmentTable& table) {
  std::vector<FaultSegment> segments;
  add_cuts(asks, Treatment::kDrop, segments);
  add_cuts(asks, Treatment::kReject, segments);
  ZQ_CHECK(Impairments(asks, table).add_to(segments));
  return segments;
}

std::vector<Window> cut_windows(const std::vector<FaultSegment>& segments) {
  std::vector<Window> windows;
  for (const FaultSegment& segment : segments) {
    if (segment.treatment != Treatment::kImpair && segment.period == kAlways &&
        segment.scope.everything()) {
      windows.push_back(segment.window);
    }
  }
  return merge(std::move(windows));
}

}  // namespace zq
