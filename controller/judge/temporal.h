// What always and eventually mean, over the runs of a condition. Private to the judge.
#pragma once

#include <span>

#include "agent/base/time.h"
#include "controller/judge/judge.h"
#include "controller/judge/program.h"

namespace zq {

struct TemporalQuestion {
  const Program& program;  // for `never`, of the opposite condition
  std::span<const Series> series;
  const PhaseWindow& phase;
  Nanos hold{};
  Nanos uncertainty{};
};

Verdict judge_throughout(const TemporalQuestion& question);

// `within` in seconds, not negative.
Verdict judge_eventually(const TemporalQuestion& question, double within, MonoTime end_of_record);

}  // namespace zq
