// An experiment file: steady state, phases with faults, expectations, limits (DESIGN part 7).
//
//   title  = "An agent-only zone is partitioned from the masters' zone"
//   caveat = "T1-C2"
//   page   = "Apps continue to run in that zone, ..."         # optional
//   [needs]                             # optional, as each of its keys
//   systems = ["scheduler"]             # kinds, or scheduler / master / coordinator
//   zones = 3                           # at least
//   regions = 2                         # at least
//   masters_in = "one zone"             # or "one region"; or "different zones": none holds a
//                                       // majority of them
//   [select]                            # optional; names for selectors, later may use earlier ones
//   cut = "zone:b"
//   [limits]                            # optional, as each of its keys
//   max_zones_cut = 1
//   quorum_loss = false
//   abort_if = "sum(app.answers{zone!=cut}) < 1 for 10s"
//   [steady]                            # optional, as each of its keys
//   holds = ["sum(app.answers) >= replicas"]
//   for = "3s"
//   timeout = "60s"
//   [verify]                            # optional, as each of its keys
//   throughput = true                   # measure that of every impaired pair, in every fault phase
//   delay_tolerance = "5ms"             # of measured medians, beside 5 % of what is asked
//   [[workload]]                        # optional
//   kind = "writes"                     # unique values, written and read back; the default
//   system = "coordinator"              # name, kind, or the only one that is such
//   every = "100ms"
//   [[workload]]
//   kind = "bulk"                       # TCP transfers without end, which faults act on
//   from = "zone:a"                     # each of these nodes sends to each of those;
//   net.throughput_mbps to = "zone:b"                       # tells each second what went through
//   streams = 1                         # optional: connections per pair
//   rate = "100mbit"                    # optional: most that a pair sends, or "unlimited"
//   [[phase]]                           # "baseline" first, "recovery" last, faults in between only
//   name = "partition"
//   lasts = "unreachable_max + 15s"     # an expression without signals
//   [[phase.fault]]                     # optional; all kinds and keys are in fault_parse.h
//   kind = "partition"
//   between = ["cut", "!cut"]
//   [[expect]]                          # at least one
//   id = "copies-elsewhere"
//   page = "..."                        # optional
//   during = "partition"
//   eventually = "sum(app.answers{zone!=cut}) >= replicas"  # or always, or never
//   within = "unreachable_max + 10s"    # with `eventually` only, and needed there
//   for = "2s"                          # optional
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/impairment.h"
#include "agent/base/time.h"
#include "experiments/cluster.h"
#include "experiments/expression.h"
#include "experiments/position.h"
#include "experiments/selector.h"

namespace zq {

enum class FaultKind {
  kPartition,  // nothing passes between any two of the sides, in either direction
  kOneWay,     // nothing passes from `a` to `b`
  kImpair,     // packets are impaired: both directions between sides, or from `a` to `b` only
  kKill,  // all processes of the nodes in `a` are killed; they are started again at the fault's end
  kStop,  // as kKill, but asked to end
  kPause,     // frozen, and resumed at the fault's end
  kRestart,   // stopped and started again at once
  kZoneDown,  // silent power loss of the nodes in `a`: links dead and processes killed at one
              // instant
  kHook,      // a command of the cluster file's [[hook]] for each node in `a`, undone at the end
};

// An impairment that changes in equal steps over the fault's time; a single one does not change.
using Ramp = std::vector<Impairment>;

struct Fault {
  FaultKind kind = FaultKind::kPartition;
  Selector a;                  // between[0], from, or nodes
  Selector b;                  // between[1] or to; empty for faults of nodes
  std::vector<Selector> more;  // between[2..]
  bool one_way = false;        // kOneWay, and kImpair with from and to
  bool reject = false;         // kPartition, kOneWay: answered instead of silent
  Scope scope;                 // source ports are those of `a`, as packets from a to b have them
  Ramp impairments;            // kImpair: at least one, each valid
  std::uint64_t cross_section_bps = 0;  // kImpair: total over all senders of a side; 0 = none
  // Flapping: in force for `on` of every `period`, from the fault's start. 0 = all the time.
  Nanos period{};
  Nanos on{};
  Nanos after{};               // from the phase's start to the fault's
  std::optional<Nanos> lasts;  // default: to the end of the phase `through`
  std::string through;         // a later phase at whose end the fault ends; empty = its own phase
  std::string system;          // processes of this system only; empty = all of the node's
  std::string hook;            // kHook
  Position position;

  [[nodiscard]] bool of_processes() const { return kind >= FaultKind::kKill; }
};

struct Phase {
  std::string name;
  Expression lasts;  // seconds; over timers of the live cluster
  std::vector<Fault> faults;
  Position position;
};

enum class Temporal { kAlways, kNever, kEventually };

struct Expectation {
  std::string id;
  std::string page;    // the sentence of the page that it checks, if it is one
  std::string during;  // phase
  Temporal temporal = Temporal::kAlways;
  Expression condition;
  // kEventually: measured from the start of `during`. Required there, not allowed elsewhere.
  std::optional<Expression> within;
  // kEventually: the condition must then hold this long without a break. kAlways / kNever: only a
  // violation that lasts at least this long counts. Default zero.
  Nanos hold{};  // key `for`
  Position position;
};

struct Limits {
  std::optional<unsigned> max_zones_cut;
  bool quorum_loss = false;  // true: the experiment may take a system's quorum away
  std::optional<Expression> abort_if;
  Nanos abort_after{};  // from "... for 10s" in abort_if
};

// What the cluster must offer.
struct Needs {
  std::vector<std::string> systems;       // kinds, "scheduler", "master" or "coordinator"
  std::optional<unsigned> zones;          // at least
  std::optional<unsigned> regions;        // at least
  std::optional<std::string> masters_in;  // "one zone", "one region" or "different zones"
  Position position{};
};

struct SteadyState {
  std::vector<Expression> holds;
  Nanos hold_for = std::chrono::seconds(3);  // key `for`
  Nanos timeout = std::chrono::seconds(60);
};

// What the run measures beyond the paths of every run, and how exactly it must be met.
struct Verification {
  bool throughput = false;                               // of every impaired pair, per fault phase
  Nanos delay_tolerance = std::chrono::milliseconds(5);  // of medians, beside 5 % of what is asked
  Position position{};
};

struct NamedSelector {
  std::string name;
  Selector selector;
};

enum class WorkloadKind {
  kWrites,  // unique values against a system for the whole run, read back after the heal
  kBulk,    // TCP data between agents for the whole run, over the nodes' own addresses
};

struct Workload {
  WorkloadKind kind = WorkloadKind::kWrites;
  std::string system;                            // kWrites: name or kind of a system of the cluster
  Nanos every = std::chrono::milliseconds(100);  // kWrites
  Selector from, to;                             // kBulk
  unsigned streams = 1;                          // kBulk: per pair of nodes
  // kBulk: of a pair; 0 = unlimited. By default what no network of today is harmed by.
  std::uint64_t rate_bps = 100'000'000;
  Position position;
};

struct Experiment {
  std::string title;
  std::string caveat;  // "T1-C2"; "control" for runs without a fault
  std::string page;    // the sentence of the page
  std::string path;
  std::string text;
  Needs needs;
  std::vector<NamedSelector> select;  // in file order; later ones may use earlier ones
  Limits limits;
  SteadyState steady;
  Verification verify;
  std::vector<Workload> workloads;
  std::vector<Phase> phases;  // "baseline" first; "recovery" last; faults only in between
  std::vector<Expectation> expectations;

  [[nodiscard]] const Phase* find_phase(const std::string& name) const;
};

// Both report everything that is wrong with the file, one "FILE:LINE:COLUMN: message" a line.
Result<Experiment> load_experiment(const std::string& path);
Result<Experiment> parse_experiment(std::string text, const std::string& path);

// Everything that can be found wrong about the pair without asking anybody: unmet needs, selections
// that are empty or name what is not there, systems that the cluster lacks. All errors are kInput.
Status check_against(const Experiment& experiment, const Cluster& cluster);

}  // namespace zq
