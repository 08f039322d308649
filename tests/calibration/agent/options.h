// How an agent is started; names are those of mesos-agent's flags.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "tests/calibration/mesos/defects.h"
#include "tests/calibration/scheduler/zookeeper.h"

namespace zq::calibration {

struct AgentOptions {
  std::string ip;
  int port = 5051;
  std::string hostname;
  std::string work_dir;
  scheduler::ZooKeeperUrl master;
  Nanos session_timeout{0};
  Nanos backoff{0};
  Defects defects;
  nlohmann::json info;                       // AgentInfo without an id
  std::map<std::string, std::string> flags;  // as /flags shows them

  [[nodiscard]] std::string address() const { return fmt::format("{}:{}", ip, port); }
};

// "zone:a;rack:r1" as v1 attributes.
[[nodiscard]] Result<nlohmann::json> parse_attributes(const std::string& text);
// "cpus:2;mem:512;ports:[31000-32000]" as v1 resources.
[[nodiscard]] Result<nlohmann::json> parse_resource_flag(const std::string& text);

}  // namespace zq::calibration
