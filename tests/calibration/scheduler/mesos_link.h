// The connection to the leading Mesos master: the v1 scheduler API over HTTP with JSON
// (docs/scheduler-http-api.md). It follows the election in ZooKeeper, subscribes, hands events on
// and sends calls.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "tests/calibration/scheduler/http_client.h"
#include "tests/calibration/scheduler/zookeeper.h"

namespace zq::scheduler {

// "HOST:PORT" of the leading master from the children of the masters' path in ZooKeeper:
// json.info_SEQUENCE, the lowest leads. kNotFound when nobody does.
Result<std::string> leading_master(ZooKeeper& zookeeper, const std::string& path);
// The leader's node among such children; empty when there is none.
[[nodiscard]] std::string leading_node(const std::vector<std::string>& children);
// "HOST:PORT" of the MasterInfo that a master leaves there.
Result<std::string> master_address(const std::string& master_info);
// "HOST:PORT" of a redirect's Location, "//HOST:PORT/path" or with a scheme; empty if it is none.
[[nodiscard]] std::string redirect_address(const std::string& location);

struct FrameworkInfo {
  std::string id;  // empty = a new one
  std::string hostname;
  std::string webui_url;
  Nanos failover_timeout{};
};
[[nodiscard]] nlohmann::json subscribe_call(const FrameworkInfo& framework);

class MesosLink {
 public:
  struct Callbacks {
    std::function<FrameworkInfo()> framework;
    std::function<void(const nlohmann::json&)> on_event;
    std::function<void()> on_disconnected;
    // A call that has certainly not reached the master.
    std::function<void(const nlohmann::json& call)> on_unsent;
  };

  // Runs until it is destroyed. `zookeeper` is asked for the leader a few times a second.
  MesosLink(ZooKeeper& zookeeper, std::string masters_path, Callbacks callbacks);
  ~MesosLink();
  MesosLink(const MesosLink&) = delete;
  MesosLink& operator=(const MesosLink&) = delete;

  // Sends it after all earlier ones. The framework's id is filled in.
  void send(nlohmann::json call);
  // Ends the subscription; another one follows.
  void resubscribe();
  [[nodiscard]] std::string leader() const;  // "HOST:PORT" or empty

 private:
  void watch_leader(const std::stop_token& stop);
  void subscribe(const std::stop_token& stop);
  // One subscription, from its beginning to its end.
  void hold(const std::string& master, const std::stop_token& stop);
  void send_calls(const std::stop_token& stop);
  // 202, or what is known of the call.
  bool post(HttpClient& client, const nlohmann::json& call);
  void wait(Nanos time, const std::stop_token& stop);

  ZooKeeper& zookeeper_;
  std::string path_;
  Callbacks callbacks_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string leader_;
  struct Subscription {
    std::string master;
    std::string stream_id;
    std::string framework_id;
  };
  std::optional<Subscription> subscription_;
  std::string redirect_;  // where the last answer said the leader is
  std::deque<nlohmann::json> calls_;
  std::atomic<int> resubscribe_ = 0;

  std::vector<std::jthread> threads_;
};

}  // namespace zq::scheduler
