// A ZooKeeper session of the C client, with calls that wait. Every call returns at the latest when
// the connection is lost, which the client notices after two thirds of the session's time-out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "tests/calibration/scheduler/state.h"

namespace zq::scheduler {

// "zk://HOST:PORT,HOST:PORT/path".
struct ZooKeeperUrl {
  std::string hosts;
  std::string path;  // "/marathon"
};
Result<ZooKeeperUrl> parse_zookeeper_url(const std::string& text);

class ZooKeeper {
 public:
  enum class Session { kConnected, kSuspended, kExpired };
  // Called by a thread of the client's; no call of this class may be made from it.
  using OnSession = std::function<void(Session)>;

  // kUnavailable when no server has answered within `connection_timeout`.
  static Result<std::unique_ptr<ZooKeeper>> connect(const std::string& hosts, Nanos session_timeout,
                                                    Nanos connection_timeout, OnSession on_session);
  ZooKeeper() = default;
  ZooKeeper(const ZooKeeper&) = delete;
  ZooKeeper& operator=(const ZooKeeper&) = delete;
  virtual ~ZooKeeper() = default;

  [[nodiscard]] virtual bool connected() const = 0;
  // Persistent nodes of the whole path; those that are there stay.
  virtual Status make_path(const std::string& path) = 0;
  // The node's path with its sequence number.
  virtual Result<std::string> create_ephemeral_sequential(const std::string& prefix,
                                                          const std::string& data) = 0;
  // kNotFound when there is no such node.
  virtual Result<std::vector<std::string>> children(const std::string& path) = 0;
  virtual Result<std::string> get(const std::string& path) = 0;
  // What was written anywhere before this call is seen by reads after it.
  virtual Status sync(const std::string& path) = 0;
  // All of them or none; `exists` tells creation from change.
  struct Write {
    std::string path;
    std::optional<std::string> data;  // without: removal
    bool exists = false;
  };
  virtual Status write(const std::vector<Write>& writes) = 0;
};

// The state's nodes under a root. One process writes at a time: the leader.
class StateStore {
 public:
  StateStore(ZooKeeper& zookeeper, std::string root)
      : zookeeper_(zookeeper), root_(std::move(root)) {}

  // What is stored, newer than any write that ended before the call.
  Result<Nodes> load();
  Status write(const std::vector<Change>& steps);

 private:
  ZooKeeper& zookeeper_;
  std::string root_;
  std::set<std::string> known_;
};

}  // namespace zq::scheduler
