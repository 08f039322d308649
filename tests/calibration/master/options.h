// How a master is started; names are those of mesos-master's flags.
#pragma once

#include <map>
#include <string>

#include "agent/base/time.h"
#include "tests/calibration/mesos/defects.h"
#include "tests/calibration/scheduler/zookeeper.h"

namespace zq::calibration {

inline constexpr const char* kVersion = "1.12.0";  // the release whose answers are given

struct MasterOptions {
  std::string ip;
  int port = 5050;
  std::string hostname;
  std::string region;  // empty: no domain
  std::string zone;
  std::string work_dir;
  scheduler::ZooKeeperUrl zk;
  std::size_t quorum = 1;
  Nanos session_timeout{0};
  Nanos ping_timeout{0};
  unsigned max_pings = 5;
  Nanos reregister_timeout{0};
  Nanos removal_spacing{0};  // from --agent_removal_rate_limit
  Nanos store_timeout{0};
  Nanos fetch_timeout{0};
  Defects defects;
  std::map<std::string, std::string> flags;  // as /flags shows them

  // MasterInfo; `id` is the process' own.
  [[nodiscard]] nlohmann::json info(const std::string& id) const;
};

// Domain of a region and a zone, or null.
[[nodiscard]] nlohmann::json domain_of(const std::string& region, const std::string& zone);

}  // namespace zq::calibration
