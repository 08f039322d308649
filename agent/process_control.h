// Faults of processes: kills, stops, pauses, starts and restarts units and cgroups of the node, at
// once or at instants, and undoes at the end of the run what outlasts it: resumes what was paused,
// starts units that ran before and were stopped or killed. A guardian process and a journal on disk
// do that where the agent cannot.
//
// Any thread may call. A real-time thread of its own acts at the instants.
#pragma once

#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "agent/process_action.h"
#include "agent/process_actor.h"

namespace zq {

class ProcessControl {
 public:
  // `program`: the agent's own, for the guardian.
  explicit ProcessControl(std::string state_dir, std::string program = "/proc/self/exe");
  ~ProcessControl();  // undo()
  ProcessControl(const ProcessControl&) = delete;
  ProcessControl& operator=(const ProcessControl&) = delete;

  // Replaces what has not begun yet; an action that has begun already is not repeated. Nothing is
  // changed when one of them is refused: see ProcessActor::prepare().
  Status schedule(const std::vector<ProcessAction>& actions);
  // In addition to what is scheduled. Waits until those without an instant are done, at most
  // `patience`. That one of them fails is said by its result.
  Status act(const std::vector<ProcessAction>& actions, Nanos patience);
  // In the order of being given; what undo() did comes last.
  [[nodiscard]] std::vector<ProcessResult> results() const;

  // Drops what has not begun, and undoes what has. Units are told to start, not waited for. What
  // could not be undone is said, and stays in the journal for the agent's next life. Idempotent;
  // no action is taken afterwards.
  Status undo();

 private:
  struct Item {
    PreparedAction prepared;
    ProcessResult result;
    BegunAction begun;
    MonoTime ask_at{};
    MonoTime give_up{};
    bool running = false;

    [[nodiscard]] bool waits() const { return !running && result.done == MonoTime{}; }
  };
  using Items = std::list<Item>;

  Status add(const std::vector<ProcessAction>& actions, bool replace);
  void run(const std::stop_token& stop);
  [[nodiscard]] Item* first_waiting();
  [[nodiscard]] Item* first_to_ask();
  void begin(Item& item, std::unique_lock<std::mutex>& lock);
  void ask(Item& item, std::unique_lock<std::mutex>& lock);
  void finish(Item& item, std::string error);

  std::mutex acting_;  // taken before mutex_; held while the actor acts
  ProcessActor actor_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  Items items_;
  bool ended_ = false;
  std::jthread thread_;  // from the first action on
};

}  // namespace zq
