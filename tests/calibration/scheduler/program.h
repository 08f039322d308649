// The running scheduler: elected through ZooKeeper, subscribed at the leading Mesos master, asked
// over HTTP. Standbys hand every request on to the leader.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "tests/calibration/scheduler/defects.h"
#include "tests/calibration/scheduler/election.h"
#include "tests/calibration/scheduler/event_hub.h"
#include "tests/calibration/scheduler/http_server.h"
#include "tests/calibration/scheduler/mesos_link.h"
#include "tests/calibration/scheduler/scheduler.h"
#include "tests/calibration/scheduler/views.h"
#include "tests/calibration/scheduler/zookeeper.h"

namespace zq::scheduler {

// Marathon's (docs/docs/exit-codes.md, CrashStrategy.scala).
namespace exit_code {
inline constexpr int kNoZooKeeper = 100;
inline constexpr int kZooKeeperLost = 101;
inline constexpr int kLeadershipLost = 103;
inline constexpr int kMesosError = 106;
inline constexpr int kFrameworkRemoved = 110;
}  // namespace exit_code

struct Options {
  std::string ip = "0.0.0.0";
  About about;
  ZooKeeperUrl zk;
  ZooKeeperUrl master;
  Defects defects;
};

class Program : public Outlet {
 public:
  explicit Program(Options options);
  ~Program() override = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Until SIGTERM or SIGINT, which must be blocked. Ends the process itself, without destructors,
  // where Marathon would: threads of the libraries are still at work then.
  Status run();

  void call(nlohmann::json call) override;
  void publish(const std::string& type, nlohmann::json event) override;
  Status store(const std::vector<Change>& steps) override;

 private:
  enum class Role { kStandby, kLeader, kSecondLeader };

  // program.cpp
  void on_session(ZooKeeper::Session session);
  void look_around();
  void lead(Role role);
  void follow_apps();
  void renew_session();
  void suspect_agents();
  void drop_link();
  [[noreturn]] void close_and_leave(int code, const std::string& why);
  [[nodiscard]] bool outlives_session() const;

  // mesos_events.cpp
  [[nodiscard]] MesosLink::Callbacks mesos_callbacks();
  void on_mesos(const nlohmann::json& event);
  void on_mesos_error(const std::string& message);
  void on_unsent(const nlohmann::json& call);

  // front.cpp
  HttpReply handle(const HttpRequest& request);
  HttpReply lead_reply(const HttpRequest& request);
  HttpReply events_reply(const HttpRequest& request);
  [[nodiscard]] HttpReply hand_on(const HttpRequest& request, const std::string& leader) const;
  [[nodiscard]] std::string known_leader();

  Options options_;
  EventHub events_;
  std::unique_ptr<ZooKeeper> zookeeper_;
  std::unique_ptr<ZooKeeper> renewed_;  // kOldLeaderKeepsWriting
  std::optional<Election> election_;
  std::unique_ptr<StateStore> state_;
  std::unique_ptr<MesosLink> link_;
  std::unique_ptr<HttpServer> server_;
  std::atomic<Role> role_ = Role::kStandby;
  std::atomic<bool> suspended_ = false;
  std::atomic<bool> expired_ = false;
  std::atomic<bool> torn_down_ = false;
  std::atomic<bool> abdicated_ = false;

  std::mutex leader_mutex_;
  std::string leader_;

  std::mutex mutex_;  // of the scheduler and of link_
  std::unique_ptr<Scheduler> scheduler_;
  std::map<std::string, int> silent_agents_;
};

// Says why and ends the process at once.
[[noreturn]] void leave(int code, const std::string& why);

}  // namespace zq::scheduler
