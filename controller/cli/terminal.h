// Live progress of a run: on a terminal one line that is rewritten, elsewhere plain lines.
#pragma once

#include <cstdio>
#include <string>

#include "controller/run/runner.h"

namespace zq {

// "app.answers a=1 b=2; leads m1": what matters of the newest values, for people.
[[nodiscard]] std::string signal_summary(const std::vector<Series>& series, MonoTime now);

class TerminalListener final : public RunListener {
 public:
  // `out` is not owned.
  TerminalListener(std::FILE* out, std::string title);
  ~TerminalListener() override;

  void run_started(RunId run) override;
  void step(const std::string& text) override;
  void planned(const Plan& plan) override;
  void phase(const std::string& name, Nanos planned) override;
  void tick(const std::string& phase, Nanos elapsed, Nanos planned,
            const std::vector<Series>& series) override;
  void trouble(const std::string& text) override;

 private:
  void line(const std::string& text);
  void clear_status();

  std::FILE* const out_;
  const std::string title_;
  const bool live_;
  const bool color_;
  bool status_shown_ = false;
  std::string last_summary_;
  Nanos last_printed_{};
};

}  // namespace zq
