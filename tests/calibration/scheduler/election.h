// The election among schedulers as Curator's LeaderLatch holds it: ephemeral nodes
// _c_UUID-latch-SEQUENCE with "HOST:PORT" in them, of which the lowest sequence leads.
#pragma once

#include <string>
#include <vector>

#include "agent/base/error.h"
#include "tests/calibration/scheduler/zookeeper.h"

namespace zq::scheduler {

// Latch nodes by sequence; others are left out.
[[nodiscard]] std::vector<std::string> in_order(std::vector<std::string> children);

class Election {
 public:
  // Enters the election at `path` (/marathon/leader-curator) under this address.
  static Result<Election> enter(ZooKeeper& zookeeper, const std::string& path,
                                const std::string& address);

  struct Standing {
    bool present = false;  // our node is still there
    bool leads = false;
    std::string leader;  // "HOST:PORT"; empty = nobody
  };
  Result<Standing> look();

 private:
  Election(ZooKeeper& zookeeper, std::string path, std::string node)
      : zookeeper_(&zookeeper), path_(std::move(path)), node_(std::move(node)) {}

  ZooKeeper* zookeeper_;
  std::string path_;
  std::string node_;
};

}  // namespace zq::scheduler
