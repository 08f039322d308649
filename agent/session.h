// One node's part of a run: who holds the node, what its kernel is told, and the rule that whatever
// goes wrong ends in a healed node. States: idle -> armed -> loaded -> healed -> idle.
//
// Any thread may call. A thread of the session's own watches the run: it heals at the first
// violation, and lets the node go when the controller has been silent for the orphan time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/dataplane/gate.h"
#include "agent/lease_keeper.h"
#include "agent/orders.h"
#include "agent/path_prober.h"
#include "agent/run_record.h"

namespace zq {

struct SessionOptions {
  std::string node;
  std::string state_dir;
};

class Session {
 public:
  // Removes what an earlier life left in this network namespace and lists it in `removed`.
  static Result<std::unique_ptr<Session>> open(SessionOptions options,
                                               std::vector<std::string>& removed);
  ~Session();  // release()
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // In all of these: kRefused when another run holds the node (named), when the epoch is outdated,
  // or when the state does not allow it. A higher epoch of the same run takes over.
  // `control`: an exemption for the control connection, where it uses the network.
  Result<zonequake::ArmReply> arm(const zonequake::ArmRequest& request,
                                  const std::optional<GateExemption>& control);
  Result<zonequake::LoadReply> load(const zonequake::LoadRequest& request);
  Result<zonequake::BeatReply> beat(const zonequake::Beat& beat, MonoTime received);
  Result<zonequake::PathsReply> measure_paths(const zonequake::PathsRequest& request);
  // Takes as long as was asked for, without keeping others waiting.
  Result<zonequake::ThroughputReply> measure_throughput(
      const zonequake::ThroughputRequest& request);
  // Waits for what is to be done at once, without keeping others waiting.
  Result<zonequake::ProcessReply> control_processes(const zonequake::ProcessRequest& request);
  Result<zonequake::EvidenceReply> read_evidence(const zonequake::EvidenceRequest& request);
  Result<zonequake::HealReply> heal(const zonequake::HealRequest& request);
  Result<zonequake::DisarmReply> disarm(const zonequake::DisarmRequest& request);

  // Whether the run may use the node's probes: it holds it, or nobody does.
  Status may_observe(const zonequake::RunRef& run);
  [[nodiscard]] std::string holder();  // empty = nobody

  // Heals, detaches, forgets the run and remembers why. Nothing to do when no run holds the node.
  void release(const std::string& why);

 private:
  struct Run;

  explicit Session(SessionOptions options);
  // With mutex_ held, all of these but make_run().
  Result<Run*> held_by(const zonequake::RunRef& ref);
  Status check_fence(const zonequake::RunRef& ref);
  Status check_epoch(const zonequake::RunRef& ref, std::uint64_t newest) const;
  Status check_open(const Run& run) const;  // it takes faults
  Status check_repeated(const zonequake::ArmRequest& request) const;
  Result<std::unique_ptr<Run>> make_run(ArmOrder order, const zonequake::ArmRequest& request);
  static Status swap_programme(Run& run, GateProgramme programme);
  static Status heal(Run& run);
  Status let_go(const std::string& why);
  void remember(RunRecord record);
  void look_after(Run& run, Nanos stalled);

  void watch(const std::stop_token& stop);

  const SessionOptions options_;
  std::mutex turn_;   // taken before mutex_ by what begins and ends a run, for the whole of it
  std::mutex mutex_;  // of all that follows; not held while a run is made, so that beats go on
  std::condition_variable_any wake_;
  std::unique_ptr<Run> run_;
  std::optional<RunRecord> last_;          // the newest run, held or not
  std::vector<std::string> last_changes_;  // DisarmReply.other_changes of the newest run
  std::jthread watcher_;
};

}  // namespace zq
