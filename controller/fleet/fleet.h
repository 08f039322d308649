// The agents as seen from the controller: connections, clock offsets, commands to all at once, the
// hold on each node (heartbeats), and the stream of observations. Asynchronous gRPC throughout: the
// number of threads does not grow with the number of agents.
// Threading: all public functions may be called from one thread; sinks are called from gRPC's
// threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/base/time.h"

namespace zq {

struct AgentEndpoint {
  std::string node;
  std::string address;  // "unix:/path" or "host:port"; empty = the node has no agent
};

// Agent's monotonic clock = controller's + offset, give or take the uncertainty, at an instant of
// the controller's clock. Clocks drift apart, so the further away another instant is, the less is
// known.
struct ClockEstimate {
  Nanos offset{};
  Nanos uncertainty{};
  MonoTime instant{};
  double drift = 0;  // of the offset, per time: 1e-6 = 1 ppm
  double drift_uncertainty = 0;

  [[nodiscard]] ClockEstimate at(MonoTime other) const;
};

struct AgentHealth {
  bool connected = false;              // the heartbeat stream stands
  std::optional<MonoTime> last_reply;  // controller time
  std::optional<ClockEstimate> clock;  // none before the first exchange
  bool lease_held = false;
  std::vector<std::string> violations;  // as the agent reports them
  std::string error;                    // why the stream ended
};

// One result per agent, in the order of the endpoints; kNotFound where there is no agent.
template <class Reply>
using PerAgent = std::vector<Result<Reply>>;

class Fleet {
 public:
  explicit Fleet(std::vector<AgentEndpoint> endpoints);
  ~Fleet();  // ends all streams; does not heal (see heal())
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  [[nodiscard]] const std::vector<AgentEndpoint>& endpoints() const;
  // Without one nothing is asked of the node, and its health and clock stay empty.
  [[nodiscard]] bool has_agent(std::size_t node) const {
    return !endpoints()[node].address.empty();
  }

  // Commands to all agents at once; each returns when every agent has answered or `timeout` is
  // over.
  PerAgent<zonequake::DescribeReply> describe(const zonequake::DescribeRequest& request,
                                              Nanos timeout);
  PerAgent<zonequake::ArmReply> arm(const std::vector<zonequake::ArmRequest>& requests,
                                    Nanos timeout);
  PerAgent<zonequake::LoadReply> load(const std::vector<zonequake::LoadRequest>& requests,
                                      Nanos timeout);
  PerAgent<zonequake::PathsReply> measure_paths(const zonequake::PathsRequest& request,
                                                Nanos timeout);
  PerAgent<zonequake::EvidenceReply> read_evidence(const zonequake::EvidenceRequest& request,
                                                   Nanos timeout);
  // What the agents have done to processes; `request` may hold actions, for all of them.
  PerAgent<zonequake::ProcessReply> control_processes(const zonequake::ProcessRequest& request,
                                                      Nanos timeout);
  // Of these agents only, all at once; in the order of the map.
  std::vector<Result<zonequake::ThroughputReply>> measure_throughput(
      const std::map<std::size_t, zonequake::ThroughputRequest>& requests, Nanos timeout);
  PerAgent<zonequake::HealReply> heal(const zonequake::HealRequest& request, Nanos timeout);
  PerAgent<zonequake::DisarmReply> disarm(const zonequake::DisarmRequest& request, Nanos timeout);

  // Opens the heartbeat streams. The first exchanges follow each other at once, for the clocks;
  // then one every `interval`.
  void start_heartbeats(const zonequake::RunRef& run, Nanos interval);
  void stop_heartbeats();
  // Ends one agent's hold: it heals by itself when its orphan time is over.
  void let_go(std::size_t agent);
  [[nodiscard]] std::vector<AgentHealth> health() const;
  // Of one agent; may be asked from a sink.
  [[nodiscard]] std::optional<ClockEstimate> clock(std::size_t agent) const;

  // Opens the observation streams with each agent's probes. `sink` gets the agent's index.
  using ObservationSink = std::function<void(std::size_t, const zonequake::ObservationBatch&)>;
  void start_observing(std::vector<zonequake::ProbeSet> probes, const ObservationSink& sink);
  // Replaces the probe sets of running streams.
  void update_probes(const std::vector<zonequake::ProbeSet>& probes);
  void stop_observing();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zq
