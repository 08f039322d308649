// Words for what decided a verdict. Private to the judge.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "agent/base/time.h"
#include "controller/judge/program.h"
#include "controller/judge/sweep.h"
#include "experiments/expression.h"
#include "experiments/signal.h"

namespace zq {

// "2", "0.25"
[[nodiscard]] std::string describe(double value);
[[nodiscard]] std::string_view describe(CompareOp op);
// As it would be written in an experiment.
[[nodiscard]] std::string describe(const ExprNode& node);
// "app.answers{app=web,zone=b}"
[[nodiscard]] std::string describe(const Series& series);

// Instants in the words of one phase, over one program and its series.
class Narrator {
 public:
  // `start` is what "+0s" means.
  Narrator(const Program& program, std::span<const Series> series, MonoTime start)
      : program_(program), series_(series), start_(start) {}

  // "+1.2s"
  [[nodiscard]] std::string instant(MonoTime time) const;
  // "sum(app.answers) = 2, not >= 3" or "sum(app.answers) = 3 >= baseline (3)".
  [[nodiscard]] std::string statement(const Finding& finding) const;
  // "app.answers{...} went from 1 to 0 at +1.2s": which series made the finding what it is at
  // `time`.
  [[nodiscard]] std::string cause(const Finding& finding, MonoTime time) const;
  // "app.answers{...} had no news after +3s", "no series matches ...": why it is unknown at `time`.
  [[nodiscard]] std::string why_unknown(const Finding& finding, MonoTime time) const;

 private:
  // Without repetition, in the order of the expression.
  [[nodiscard]] std::vector<const Series*> members(const Finding& finding) const;

  const Program& program_;
  std::span<const Series> series_;
  MonoTime start_;
};

}  // namespace zq
