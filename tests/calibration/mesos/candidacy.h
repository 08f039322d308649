// A process' view of the election among masters, /mesos/json.info_SEQUENCE, of which the lowest
// leads. A session that was lost for its whole time-out is taken for expired by the process' own
// clock, as Mesos' src/zookeeper/group.cpp does.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/time.h"
#include "tests/calibration/scheduler/zookeeper.h"

namespace zq::calibration {

// By sequence: the first leads. Nodes of other names are left out.
[[nodiscard]] std::vector<std::string> candidates_in_order(std::vector<std::string> children);

class Candidacy {
 public:
  // With `info` the process is a candidate itself; without, it only watches.
  Candidacy(scheduler::ZooKeeperUrl url, Nanos session_timeout, std::optional<nlohmann::json> info);

  struct View {
    bool known = false;     // false: the election cannot be seen, and what was known is void
    bool leads = false;     // our own node is the lowest
    nlohmann::json leader;  // MasterInfo; null = nobody stands
    std::vector<nlohmann::json> others;  // MasterInfo of all other candidates
  };
  // The election now, or as it was seen last while the session may still live. Connects, and stands
  // for election again, when it does not. Blocks for at most a few seconds; one thread.
  View look();

 private:
  [[nodiscard]] bool expired() const;
  bool connect();
  Result<View> ask();

  scheduler::ZooKeeperUrl url_;
  Nanos session_timeout_;
  std::optional<nlohmann::json> info_;
  struct Session {
    std::atomic<std::int64_t> suspended_since{0};  // monotonic nanoseconds; 0 = connected
    std::atomic<bool> expired{false};
  };
  std::shared_ptr<Session> session_;
  std::unique_ptr<scheduler::ZooKeeper> zookeeper_;
  std::string node_;
  std::map<std::string, nlohmann::json> infos_;  // by node name
  View last_;
};

}  // namespace zq::calibration
