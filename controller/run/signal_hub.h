// Where observations become signals: routes each agent's answers to the adapter that asked, keeps
// the series in memory for conditions that are looked at while the run goes on, and hands every
// change to the store. Threading: on_batch() and add() may be called from any thread; everything
// else from one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/base/time.h"
#include "controller/access/access.h"
#include "controller/systems/adapter.h"
#include "controller/systems/bulk_workload.h"
#include "experiments/cluster.h"
#include "experiments/experiment.h"
#include "experiments/signal.h"
#include "results/store.h"

namespace zq {

// A series that grows by samples; equal values extend the newest segment unless it had gone stale.
void append_sample(Series& series, MonoTime at, std::optional<double> value);

class SignalHub {
 public:
  // Makes the adapters of the cluster's systems and apps, and the experiment's workloads. `dir` is
  // what "{dir}" stands for in endpoints. Reads the systems' credentials. kInput for what an
  // adapter refuses, and as resolve_access().
  // Agents take bulk data on `probe_port`.
  static Result<std::unique_ptr<SignalHub>> make(const Cluster& cluster,
                                                 const Experiment& experiment,
                                                 const std::string& run, const std::string& dir,
                                                 std::uint16_t probe_port = 0);

  // With the credentials of each probe's system: not for records.
  [[nodiscard]] std::vector<zonequake::ProbeSet> probe_sets(const zonequake::RunRef& run,
                                                            bool read_back) const;
  // Every probe's series start as unknown.
  void seed(MonoTime now);
  // `offset` = agent clock minus controller clock.
  void on_batch(NodeId node, const zonequake::ObservationBatch& batch, Nanos offset);
  void add(const std::vector<Sample>& samples, Nanos stale_after);

  // Writes what came in since the last call.
  Status flush(Store& store, RunId run);

  [[nodiscard]] bool ready() const;
  // Systems that have not told everything yet, for messages.
  [[nodiscard]] std::vector<std::string> not_ready() const;
  [[nodiscard]] std::map<std::string, double> variables() const;  // timers and replicas
  [[nodiscard]] std::map<std::string, std::string> derivations() const;
  [[nodiscard]] std::map<std::string, std::string> versions() const;
  // What the systems say about themselves.
  void add_facts(Facts& facts) const;
  [[nodiscard]] Result<NodeId> leader(const std::string& system) const;
  [[nodiscard]] bool workloads_complete() const;
  [[nodiscard]] std::uint64_t dropped_observations() const;
  [[nodiscard]] std::vector<Series> series() const;

 private:
  explicit SignalHub(const Cluster& cluster) : cluster_(cluster) {}

  using Key = std::pair<std::string, Labels>;
  using Interpreter = std::function<std::vector<Sample>(const Answer&)>;
  struct ProbeState {
    Interpreter interpret;
    Nanos stale_after{};
    std::vector<Sample> newest;  // confirmed by a Confirmation
  };
  struct System {
    std::string name;
    std::unique_ptr<Adapter> adapter;
    Access access;
  };
  struct Pending {
    Sample sample;
    Nanos stale_after;
  };

  void register_probes(const std::vector<NodeProbe>& probes, const Interpreter& interpret);
  void add_locked(const std::vector<Sample>& samples, Nanos stale_after);
  void answer_locked(ProbeState& state, const Answer& answer);

  const Cluster& cluster_;
  std::vector<System> systems_;
  std::vector<std::unique_ptr<Adapter>> apps_;
  std::vector<std::unique_ptr<WriteWorkload>> workloads_;
  std::unique_ptr<BulkTraffic> bulk_;  // none without a bulk workload

  mutable std::mutex mutex_;
  std::map<std::pair<NodeId, std::string>, ProbeState> probes_;
  std::map<Key, Series> series_;
  std::vector<Pending> pending_;
  std::uint64_t dropped_ = 0;
};

}  // namespace zq
