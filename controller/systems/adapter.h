// One adapter per kind of system: which probes to run on which node, what their answers mean as
// signals, and the timers that bounds are made of. No I/O: agents probe, adapters interpret.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/base/time.h"
#include "controller/check/facts.h"
#include "experiments/cluster.h"
#include "experiments/signal.h"

namespace zq {

// A probe that runs on one node. Probe ids are unique per node and start with the system's name.
struct NodeProbe {
  NodeId node = 0;
  zonequake::Probe probe;

  // Three intervals and a time-out without news make a series unknown.
  [[nodiscard]] Nanos stale_after() const;
};

// An observation on the controller's clock.
struct Answer {
  NodeId node = 0;
  std::string probe;
  MonoTime at;
  zonequake::Observation observation;
};

class Adapter {
 public:
  virtual ~Adapter() = default;

  [[nodiscard]] virtual std::vector<NodeProbe> probes() const = 0;

  // What an answer says. The samples name every series that this probe of this node feeds and knows
  // of: a series that an earlier answer named and this one does not mention is repeated with 0
  // (gone) or without a value (cannot tell). A series is fed by one probe of one node only, so that
  // a confirmed answer confirms exactly the samples of the last call for that probe. Before its
  // first answer each probe has one call with outcome FAILED at the start of the run: it seeds the
  // series that will exist for certain as unknown, so that silence is never read as zero.
  virtual std::vector<Sample> interpret(const Answer& answer) = 0;

  // Named bounds in seconds, from the live configuration as seen in answers so far, and the raw
  // timers that they derive from. Missing ones have not been seen yet. Every system of a kind that
  // can tell gives these (all counted from the fault's start, or from the heal where it says so):
  //   unreachable_min             no member is given up before this
  //   unreachable_max             every lost member has been given up
  //   unreachable_new_leader_max  the same when the leader was lost with it
  //   reschedule_max              from "given up" to a copy that runs elsewhere
  //   reschedule_new_leader_max   the same when the leader was lost with it
  //   leader_exit_max             a leader that lost its majority no longer says that it leads
  //   election_max                the majority has a leader that serves
  //   overlap_max                 two leaders at the same time, longest
  //   scheduler_exit_max, scheduler_election_max   the same of schedulers that are not masters
  //   reregister_max              from the heal: every member is back and surplus copies are gone
  //   safe_cut_max                the longest silent cut, however short of unreachable_min, that
  //                               nothing may come of: no member given up, no task changed
  //   start_max, start_alone_max  from the restart of killed processes: they answer (alone: below
  //                               quorum)
  struct Timer {
    double seconds = 0;
    std::string derivation;  // "dispatcher heartbeat 1s x 3 + ..."
  };
  [[nodiscard]] virtual std::map<std::string, Timer> timers() const = 0;
  // True once probes have told everything that timers() and version() need.
  [[nodiscard]] virtual bool ready() const = 0;

  [[nodiscard]] virtual std::string version() const = 0;  // empty = unknown yet
  // The node that leads, if exactly one is believed to by a majority of answers.
  [[nodiscard]] virtual std::optional<NodeId> leader() const = 0;
  // Nodes whose loss counts for quorum (masters, voters). Empty = no quorum.
  [[nodiscard]] virtual std::vector<NodeId> voters() const = 0;

  // What the system says about itself as the checks of the page's recommendations need it
  // (controller/check/facts.h). Adds to what others have said.
  virtual void add_facts(Facts& facts) const { (void)facts; }
};

// kInput with the spec's position for unknown kinds (nearest known named) and bad options.
Result<std::unique_ptr<Adapter>> make_adapter(const Cluster& cluster, const SystemSpec& system);
// The canaries of one app: `app.answers` from every node.
std::unique_ptr<Adapter> make_canary_adapter(const Cluster& cluster, const AppSpec& app);
// A write workload against a system: `write.acknowledged`, `write.lost` from each of its nodes.
// probes(read_back) differ only in WriteProbe::read_back.
class WriteWorkload {
 public:
  virtual ~WriteWorkload() = default;
  [[nodiscard]] virtual std::vector<NodeProbe> probes(bool read_back) const = 0;
  virtual std::vector<Sample> interpret(const Answer& answer) = 0;
  // All nodes have read everything back and removed what they wrote.
  [[nodiscard]] virtual bool complete() const = 0;
};
Result<std::unique_ptr<WriteWorkload>> make_write_workload(const Cluster& cluster,
                                                           const SystemSpec& system,
                                                           const std::string& run, Nanos every);

[[nodiscard]] std::vector<std::string> adapter_kinds();

}  // namespace zq
