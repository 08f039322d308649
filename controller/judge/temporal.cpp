#include "controller/judge/temporal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "controller/judge/evidence.h"
#include "controller/judge/sweep.h"

namespace zq {
namespace {

// A stretch against the `for` of its statement, with clocks that are not exact.
enum class Lasting { kTooShort, kDoubtful, kLongEnough };

Lasting lasts(Nanos length, const TemporalQuestion& question) {
  if (question.hold <= Nanos{}) return Lasting::kLongEnough;
  const Nanos spare = length - question.hold;
  if (spare >= question.uncertainty && spare >= Nanos{}) return Lasting::kLongEnough;
  return -spare >= question.uncertainty ? Lasting::kTooShort : Lasting::kDoubtful;
}

class Throughout {
 public:
  explicit Throughout(const TemporalQuestion& question)
      : question_(question), narrator_(question.program, question.series, question.phase.from) {}

  void see(const Run& run) {
    if (run.first.truth == Truth::kTrue) {
      close_gap(run.from);
      note_worst(run);
      return;
    }
    if (!gap_from_) gap_from_ = run.from;
    if (run.first.truth == Truth::kUnknown) {
      if (!unknown_) unknown_ = run;
    } else {
      see_violation(run);
    }
  }

  Verdict verdict() {
    close_gap(question_.phase.until);
    Verdict verdict;
    if (worst_ && worst_->measure) {
      verdict.measured = worst_->measure->measured;
      verdict.bound = worst_->measure->bound;
      verdict.margin = worst_->measure->margin;
      verdict.at = worst_at_;
    }
    if (refuting_) {
      verdict.kind = VerdictKind::kRefuted;
      verdict.at = refuting_->from;
      verdict.evidence =
          fmt::format("{} {}: {}", narrator_.statement(refuting_->first), stretch(*refuting_),
                      narrator_.cause(refuting_->first, refuting_->from));
      if (worst_at_ != refuting_->from && worst_->measure->margin < first_margin()) {
        verdict.evidence += fmt::format("; at worst, {}, at {}", narrator_.statement(*worst_),
                                        narrator_.instant(worst_at_));
      }
    } else if (!doubt_.empty()) {
      verdict.at = doubt_at_;
      verdict.evidence = doubt_;
    } else {
      verdict.kind = VerdictKind::kConfirmed;
      verdict.evidence = confirmation();
    }
    return verdict;
  }

 private:
  void see_violation(const Run& run) {
    const PhaseWindow& phase = question_.phase;
    const Nanos blur = question_.uncertainty;
    const bool at_edge =
        blur > Nanos{} && (run.until - phase.from <= blur || phase.until - run.from <= blur);
    const Lasting lasting = lasts(run.until - run.from, question_);
    if (lasting == Lasting::kTooShort) {
      ++forgiven_;
      longest_forgiven_ = std::max(longest_forgiven_, run.until - run.from);
      return;
    }
    note_worst(run);
    if (lasting == Lasting::kLongEnough && !at_edge) {
      if (!refuting_) refuting_ = run;
      return;
    }
    note_doubt(run.from,
               fmt::format("{} {}, and that is within the clocks' uncertainty of {} of "
                           "{}",
                           narrator_.statement(run.first), stretch(run), format_duration(blur),
                           at_edge ? "the phase's edge" : "what `for` forgives"));
  }

  // A gap is all that lies between two stretches in which the condition is known to hold.
  void close_gap(MonoTime end) {
    if (unknown_ && lasts(end - *gap_from_, question_) != Lasting::kTooShort) {
      note_doubt(
          unknown_->from,
          fmt::format("{} is unknown {}: {}", narrator_.statement(unknown_->first),
                      stretch(*unknown_), narrator_.why_unknown(unknown_->first, unknown_->from)));
    }
    gap_from_.reset();
    unknown_.reset();
  }

  void note_worst(const Run& run) {
    if (!run.worst.measure) return;
    if (worst_ && worst_->measure->margin <= run.worst.measure->margin) return;
    worst_ = run.worst;
    worst_at_ = run.worst_at;
  }

  void note_doubt(MonoTime at, std::string why) {
    if (!doubt_.empty()) return;
    doubt_ = std::move(why);
    doubt_at_ = at;
  }

  [[nodiscard]] double first_margin() const {
    return refuting_->first.measure ? refuting_->first.measure->margin : 0;
  }

  // "from +1.2s to the end of 'partition' (3s)"
  [[nodiscard]] std::string stretch(const Run& run) const {
    const PhaseWindow& phase = question_.phase;
    if (run.from == phase.from && run.until == phase.until) {
      return fmt::format("throughout '{}' ({})", phase.name, format_duration(run.until - run.from));
    }
    const std::string end = run.until == phase.until ? fmt::format("the end of '{}'", phase.name)
                                                     : narrator_.instant(run.until);
    return fmt::format("from {} to {} ({})", narrator_.instant(run.from), end,
                       format_duration(run.until - run.from));
  }

  [[nodiscard]] std::string confirmation() const {
    const PhaseWindow& phase = question_.phase;
    std::string text =
        fmt::format("throughout '{}' ({})", phase.name, format_duration(phase.until - phase.from));
    if (worst_) {
      text = fmt::format("{} at the tightest, at {}; it held {}", narrator_.statement(*worst_),
                         narrator_.instant(worst_at_), text);
    } else {
      text =
          fmt::format("no violation lasted {} or longer {}", format_duration(question_.hold), text);
    }
    if (forgiven_ == 0) return text;
    return fmt::format("{}, but for {} {} shorter than {}, the longest {}", text, forgiven_,
                       forgiven_ == 1 ? "violation" : "violations", format_duration(question_.hold),
                       format_duration(longest_forgiven_));
  }

  const TemporalQuestion& question_;
  Narrator narrator_;
  std::optional<Finding> worst_;
  MonoTime worst_at_;
  std::optional<Run> refuting_;
  std::string doubt_;
  MonoTime doubt_at_;
  std::optional<MonoTime> gap_from_;
  std::optional<Run> unknown_;  // the first unknown stretch of the gap
  unsigned forgiven_ = 0;
  Nanos longest_forgiven_{};
};

class Eventually {
 public:
  Eventually(const TemporalQuestion& question, double within, MonoTime end_of_record)
      : question_(question),
        within_(within),
        end_of_record_(end_of_record),
        // A bound of decades stands for "at all" and must not overflow.
        deadline_(question.phase.from + Nanos{std::llround(std::min(within, 1e9) * 1e9)}),
        narrator_(question.program, question.series, question.phase.from) {}

  // False once the answer is there.
  bool see(const Run& run) {
    if (run.first.truth == Truth::kFalse) {
      close_chance(run.from);
      note_nearest(run);
      return true;
    }
    if (!chance_) chance_ = run;
    if (run.first.truth == Truth::kUnknown) return true;
    if (lasts(run.until - run.from, question_) != Lasting::kLongEnough) return true;
    success_ = run;
    if (chance_->from < run.from) note_possible(*chance_);
    return false;
  }

  Verdict verdict() {
    if (!success_) {
      if (chance_) note_possible(*chance_);  // nobody knows how it went on
      if (possible_at_ > end_of_record_ && end_of_record_ < deadline_) {
        possible_at_ = end_of_record_;
        why_possible_ = fmt::format("the record ends at {}, before the bound of {}",
                                    narrator_.instant(end_of_record_), bound());
      }
    }
    Verdict verdict;
    verdict.unit = "s";
    verdict.bound = within_;
    if (success_) {
      verdict.at = success_->from;
      verdict.measured = to_seconds(success_->from - question_.phase.from);
      verdict.margin = to_seconds(deadline_ - success_->from);
    }
    decide(verdict);
    return verdict;
  }

 private:
  void decide(Verdict& verdict) const {
    const Nanos margin = success_ ? deadline_ - success_->from : Nanos{};
    const Nanos blur = question_.uncertainty;
    if (success_ && margin > -blur && margin < blur) {
      verdict.evidence = fmt::format(
          "{}, and the bound of {} is nearer than the clocks' uncertainty "
          "of {}",
          success_text(), bound(), format_duration(blur));
    } else if (success_ && margin >= Nanos{}) {
      verdict.kind = VerdictKind::kConfirmed;
      verdict.evidence =
          fmt::format("{}, {} inside the bound of {}: {}", success_text(), format_duration(margin),
                      bound(), narrator_.cause(success_->first, success_->from));
    } else if (possible_at_ <= deadline_ || possible_at_ - deadline_ < blur) {
      verdict.evidence = success_ ? fmt::format("{}, after the bound of {}; but {}", success_text(),
                                                bound(), why_possible_)
                                  : why_possible_;
    } else {
      verdict.kind = VerdictKind::kRefuted;
      verdict.evidence = success_ ? late(margin) : never_held();
    }
  }

  [[nodiscard]] std::string late(Nanos margin) const {
    return fmt::format("{}, {} after the bound of {}: {}", success_text(), format_duration(-margin),
                       bound(), narrator_.cause(success_->first, success_->from));
  }

  [[nodiscard]] std::string never_held() const {
    std::string text = fmt::format(
        "it never held{} up to the end of the record at {}; the bound was "
        "{}",
        for_hold(), narrator_.instant(end_of_record_), bound());
    if (nearest_) {
      text += fmt::format("; the nearest was {} at {}: {}", narrator_.statement(*nearest_),
                          narrator_.instant(nearest_at_), narrator_.cause(*nearest_, nearest_at_));
    }
    return text;
  }

  // "sum(app.answers) = 3 >= 3 from +12.3s of 'partition' on for 10s"
  [[nodiscard]] std::string success_text() const {
    return fmt::format("{} from {} of '{}' on{}", narrator_.statement(success_->first),
                       narrator_.instant(success_->from), question_.phase.name, for_hold());
  }

  [[nodiscard]] std::string for_hold() const {
    if (question_.hold <= Nanos{}) return "";
    return fmt::format(" for {}", format_duration(question_.hold));
  }

  [[nodiscard]] std::string bound() const {
    return format_duration(deadline_ - question_.phase.from);
  }

  // A chance is a stretch in which the condition is nowhere known not to hold.
  void close_chance(MonoTime end) {
    if (chance_ && lasts(end - chance_->from, question_) != Lasting::kTooShort) {
      note_possible(*chance_);
    }
    chance_.reset();
  }

  void note_possible(const Run& begin) {
    if (possible_at_ != MonoTime::max()) return;
    possible_at_ = begin.from;
    const std::string from = narrator_.instant(begin.from);
    if (begin.first.truth == Truth::kUnknown) {
      why_possible_ = fmt::format(
          "{} is unknown from {} to {}: {}", narrator_.statement(begin.first), from,
          narrator_.instant(begin.until), narrator_.why_unknown(begin.first, begin.from));
    } else {
      why_possible_ = fmt::format("{} from {} on, and it cannot be told whether that lasted{}",
                                  narrator_.statement(begin.first), from, for_hold());
    }
  }

  void note_nearest(const Run& run) {
    if (!run.best.measure) return;
    if (nearest_ && nearest_->measure->margin >= run.best.measure->margin) return;
    nearest_ = run.best;
    nearest_at_ = run.best_at;
  }

  const TemporalQuestion& question_;
  double within_;
  MonoTime end_of_record_;
  MonoTime deadline_;
  Narrator narrator_;
  std::optional<Run> chance_;  // the first stretch of it
  std::optional<Run> success_;
  MonoTime possible_at_ = MonoTime::max();  // the earliest that cannot be excluded
  std::string why_possible_;
  std::optional<Finding> nearest_;
  MonoTime nearest_at_;
};

}  // namespace

Verdict judge_throughout(const TemporalQuestion& question) {
  Throughout throughout(question);
  for_each_run(question.program, question.series, question.phase.from, question.phase.until,
               [&](const Run& run) {
                 throughout.see(run);
                 return true;
               });
  return throughout.verdict();
}

Verdict judge_eventually(const TemporalQuestion& question, double within, MonoTime end_of_record) {
  Eventually eventually(question, within, end_of_record);
  for_each_run(question.program, question.series, question.phase.from, end_of_record,
               [&](const Run& run) { return eventually.see(run); });
  return eventually.verdict();
}

}  // namespace zq
