// Recordings of a real Mesos cluster, played through the adapter: what pollers saw becomes answers,
// answers become series, and series are judged.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "controller/judge/judge.h"
#include "tests/unit/systems/mesos_support.h"

namespace zq::test {

// The whole recordings, which are not part of the project: in the directory that the environment
// variable ZQ_RECORDINGS names, or in shared/recordings beside the checkout. Nothing: not there.
std::optional<std::filesystem::path> whole_recordings();

// The instant of a recorded Unix time.
MonoTime recorded_at(double unix_seconds);

// One line of poll-*.jsonl: what one node answered at an instant.
struct PolledLine {
  double at = 0;
  NodeId node = 0;
  nlohmann::json line;
};
// In order of time.
std::vector<PolledLine> read_poll(const std::filesystem::path& file);

// The recorded tasks as apps, and how the masters' tasks are asked for: from their /state.
Cluster recorded_cluster();

class Playback {
 public:
  explicit Playback(const Cluster& cluster);

  // Plays all lines; probes that a line answers get the answer at its instant.
  void play(const std::vector<PolledLine>& lines);
  // The answer to the probe `what` of a node came at a recorded time.
  void tell(double at, const std::string& what, Answer told);
  // Nothing new came from it up to then.
  void confirm(double at, NodeId node, const std::string& what);
  [[nodiscard]] Adapter& adapter() { return *adapter_; }
  [[nodiscard]] std::vector<Series> series() const;

 private:
  void play(const PolledLine& polled);
  void add(const std::vector<Sample>& samples, Nanos stale_after);

  std::unique_ptr<Adapter> adapter_;
  std::map<std::pair<NodeId, std::string>, Nanos> stale_after_;
  std::map<std::pair<NodeId, std::string>, std::vector<Sample>> newest_;
  std::map<std::string, std::string> agent_ids_;  // by address, as agents told
  std::map<std::pair<std::string, Labels>, Series> series_;
};

// Plays scheduler-events-*.jsonl, what a framework was told, as the event stream of its masters.
void play_events(Playback& playback, const std::filesystem::path& file);

}  // namespace zq::test
