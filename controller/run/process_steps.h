// Takes the controller's own steps at their times and undoes them, whatever happens. Each step is
// told to the sink before it is taken and when it is done, so that the store knows after a crash of
// this process what is still to be undone.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "controller/run/process_schedule.h"
#include "controller/testbed/spawn.h"
#include "controller/testbed/testbed.h"
#include "results/store.h"

namespace zq {

class ProcessSteps {
 public:
  using Sink = std::function<void(const ProcessRecord&)>;

  // `testbed` may be null, when no step needs one; `cluster` outlives this.
  ProcessSteps(const Cluster& cluster, Testbed* testbed, std::vector<ControllerStep> steps,
               Sink sink);
  // Kills commands that still run, with what they started. Call undo_all() before.
  ~ProcessSteps();
  ProcessSteps(const ProcessSteps&) = delete;
  ProcessSteps& operator=(const ProcessSteps&) = delete;

  void start(MonoTime fault_at) { fault_at_ = fault_at; }
  // Takes the steps that are due and looks after the commands that run. The first failure of a step
  // that is no undo; what goes wrong in an undo is in problems().
  Status take_due(MonoTime now);
  // Waits for what runs, then undoes everything that was begun, or that agents may have begun.
  void undo_all();
  // Of undoing: what is left to be done by hand, a sentence each.
  [[nodiscard]] std::vector<std::string> take_problems();

 private:
  struct State {
    ControllerStep step;
    ProcessRecord record;
    std::optional<testbed::Child> child;
    std::string output_path;
    MonoTime deadline;
    bool begun = false;
    bool done = false;
  };

  void begin(State& state);
  void begin_hook(State& state);
  // A hook's end, if it has come.
  void look_after(State& state);
  void end(State& state, const std::string& error);
  Status restart(const State& state);
  [[nodiscard]] bool wanted(const State& state) const;

  const Cluster& cluster_;
  Testbed* const testbed_;
  const Sink sink_;
  std::vector<State> states_;
  std::optional<MonoTime> fault_at_;
  std::vector<std::string> problems_;
};

}  // namespace zq
