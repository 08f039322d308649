// What a leading master holds in memory: agents, frameworks, tasks and offers.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "agent/base/time.h"
#include "tests/calibration/master/agent_link.h"
#include "tests/calibration/mesos/record_stream.h"
#include "tests/calibration/mesos/resources.h"

namespace zq::calibration {

struct Task {
  std::string id;
  std::string name;
  std::string framework;
  std::string agent;
  std::string state = "TASK_STAGING";
  std::string uuid;  // of the update that told the state
  Resources resources;
  nlohmann::json info;                                // TaskInfo
  nlohmann::json statuses = nlohmann::json::array();  // v1 TaskStatus

  [[nodiscard]] static Task from_info(const nlohmann::json& info, const std::string& framework);
  void take(const nlohmann::json& status);
  // The last status, without its uuid.
  [[nodiscard]] nlohmann::json latest() const;
};

[[nodiscard]] bool is_terminal(const std::string& state);

struct AgentEntry {
  std::string id;
  std::string address;  // "IP:PORT"
  nlohmann::json info;  // AgentInfo with its id
  Resources total;
  bool active = true;
  double registered_time = 0;
  std::optional<double> reregistered_time;
  std::shared_ptr<AgentLink> link;
  unsigned link_serial = 0;
  bool unhealthy = false;                                // N pings in a row were missed
  std::optional<MonoTime> mark_at;                       // when the limiter lets it be marked
  bool marking = false;                                  // the registry is being written
  std::set<std::pair<std::string, std::string>> killed;  // asked for, and not yet ended
};

struct RecoveredAgent {
  nlohmann::json info;
  bool returning = false;  // its re-registration is being written
};

struct Framework {
  std::string id;
  nlohmann::json info;  // FrameworkInfo
  bool connected = false;
  bool recovered = false;  // known from agents only
  bool suppressed = false;
  double registered_time = 0;
  double reregistered_time = 0;
  std::string stream_id;
  std::shared_ptr<RecordStream> stream;
  MonoTime disconnected_at{};
  std::map<std::string, MonoTime> refused;  // agents, and until when
  std::map<std::string, Task> unreachable;
  std::deque<Task> completed;

  [[nodiscard]] bool can(const char* capability) const;
  [[nodiscard]] double failover_timeout() const;
};

struct Offer {
  std::string id;
  std::string framework;
  std::string agent;
  Resources resources;
};

}  // namespace zq::calibration
