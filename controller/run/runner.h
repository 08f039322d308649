// One run from preflight to verdict (DESIGN part 5): describe the fleet, read timers, plan, arm,
// verify the paths, fire at T, observe, heal, verify again, recover, disarm, compare dumps, judge,
// store. Whatever happens in between, every node is healed and disarmed before this returns.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "controller/plan/plan.h"
#include "controller/run/agent_requests.h"
#include "controller/testbed/testbed.h"
#include "experiments/cluster.h"
#include "experiments/deviations.h"
#include "experiments/experiment.h"
#include "results/store.h"

namespace zq {

struct RunOptions {
  ArmSettings arm;
  std::map<std::string, std::string> labels;
  std::vector<Deviation> deviations;  // all that are known
  // From loading the programmes to T: long enough for every node to have them.
  Nanos lead = std::chrono::milliseconds(1500);
};

// Told what goes on, for a terminal or a log. Called from the runner's thread only.
class RunListener {
 public:
  virtual ~RunListener() = default;
  virtual void run_started(RunId run) = 0;
  virtual void step(const std::string& text) = 0;
  virtual void planned(const Plan& plan) = 0;
  virtual void phase(const std::string& name, Nanos planned) = 0;
  // About four times a second inside phases.
  virtual void tick(const std::string& phase, Nanos elapsed, Nanos planned,
                    const std::vector<Series>& series) = 0;
  // Something that decides about the run: a violation, an abort.
  virtual void trouble(const std::string& text) = 0;
};

struct RunOutcome {
  RunId id = 0;
  RunVerdict verdict = RunVerdict::kInvalid;
  std::string reason;
};

// The experiment fits the cluster (check_against). `testbed` may be null: then every node has an
// agent endpoint in the cluster file. An Error means that no run was recorded; everything later
// ends as an outcome.
Result<RunOutcome> run_experiment(const Experiment& experiment, const Cluster& cluster,
                                  Testbed* testbed, Store& store, const RunOptions& options,
                                  RunListener& listener, const std::stop_token& stop);

}  // namespace zq
