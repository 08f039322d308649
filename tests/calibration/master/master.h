// The calibration cluster's Mesos master: a candidate in ZooKeeper's election, a replica of the
// registry, and, while it leads, what mesos-master is to agents, schedulers and operators.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/calibration/master/model.h"
#include "tests/calibration/master/options.h"
#include "tests/calibration/mesos/candidacy.h"
#include "tests/calibration/mesos/registrar.h"
#include "tests/calibration/scheduler/http_server.h"

namespace zq::calibration {

class Master {
 public:
  Master(MasterOptions options, std::unique_ptr<Replica> replica);
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;

  // Until SIGTERM or SIGINT, which must be blocked, or where Mesos gives up: then the process ends
  // with status 1, without destructors, as other threads are at work.
  Status run();

 private:
  using Json = nlohmann::json;
  using Reply = scheduler::HttpReply;
  using Request = scheduler::HttpRequest;
  using TaskKey = std::pair<std::string, std::string>;  // framework, task

  enum class Role { kFollower, kRecovering, kLeading };

  // master.cpp
  void watch_election();
  void lead();
  void tick();
  [[nodiscard]] bool serves() const { return role_ == Role::kLeading; }
  [[nodiscard]] std::string new_id(const char* kind);

  // front.cpp
  Reply handle(const Request& request);
  Reply route(const Request& request, const std::string& path);
  Reply replica_reply(const Request& request, const std::string& path);
  std::optional<Reply> elsewhere(const std::string& target);
  Reply maintenance(const Request& request);

  // operator_api.cpp
  Reply operator_call(const Request& request);
  Reply operator_stream();
  Reply mark_gone(const Json& call);

  // views.cpp: under the lock
  [[nodiscard]] Json state_view() const;
  [[nodiscard]] Json summary_view() const;
  [[nodiscard]] Json slaves_view(bool full) const;
  [[nodiscard]] Json frameworks_view() const;
  [[nodiscard]] Json tasks_view() const;
  [[nodiscard]] Json metrics_view() const;
  [[nodiscard]] Json agent_view(const AgentEntry& agent, bool full) const;
  [[nodiscard]] Json framework_view(const Framework& framework) const;
  [[nodiscard]] Json task_view(const Task& task) const;

  // v1_views.cpp: under the lock
  [[nodiscard]] Json v1_agents() const;
  [[nodiscard]] Json v1_agent(const AgentEntry& agent) const;
  [[nodiscard]] Json v1_frameworks() const;
  [[nodiscard]] Json v1_framework(const Framework& framework) const;
  [[nodiscard]] Json v1_tasks() const;
  [[nodiscard]] Json v1_task(const Task& task) const;
  [[nodiscard]] Json v1_state() const;

  // agents.cpp
  Reply register_agent(const Json& message);
  Reply admit(const Json& message, std::string id, bool was_unreachable, bool returns);
  void take_tasks(AgentEntry& agent, const Json& message, bool was_unreachable);
  void on_pong(const std::string& id, unsigned link);
  void on_missed(const std::string& id, unsigned link, unsigned missed);
  void on_broken(const std::string& id, unsigned link);
  void link_agent(AgentEntry& agent);

  // removal.cpp
  void mark_due_agents();
  void mark_unreachable(const std::string& id);
  void mark_recovered();
  void remove_agent(const std::string& id, std::int64_t when_ns);
  [[nodiscard]] MonoTime next_removal();

  // updates.cpp
  Reply status_update(const Json& message);
  void forward(Framework& framework, const Json& status);
  void tell_operators(const Json& event);
  void operator_update(const Task& task, const Json& status);
  void finish(const TaskKey& key);
  [[nodiscard]] static std::string mesos_metric(const std::string& state);
  [[nodiscard]] Json master_status(const Task& task, const char* reason, const char* message) const;

  // scheduler_api.cpp
  Reply scheduler_call(const Request& request);
  Reply subscribe(const Json& call);
  void acknowledge(Framework& framework, const Json& call);
  void kill(Framework& framework, const Json& call);
  void reconcile(Framework& framework, const Json& call);
  void reconcile_one(Framework& framework, const std::string& task, const std::string& agent);
  void disconnect(const std::string& framework, const RecordStream* stream);
  void teardown(const std::string& framework);

  // offers.cpp
  void allocate();
  void accept(Framework& framework, const Json& call);
  void launch(Framework& framework, const Json& infos, const std::string& agent, Resources& left);
  void decline(Framework& framework, const Json& call);
  void rescind_of_agent(const std::string& agent);
  void drop_offers_of(const std::string& framework);
  [[nodiscard]] Resources used_on(const std::string& agent) const;
  [[nodiscard]] Resources offered_on(const std::string& agent) const;

  const MasterOptions options_;
  const std::string id_;
  const Json info_;
  const double start_time_;
  const MonoTime started_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<Registrar> registrar_;
  std::unique_ptr<scheduler::HttpServer> server_;
  std::atomic<Role> role_ = Role::kFollower;

  mutable std::mutex election_mutex_;
  Json leader_;  // MasterInfo, null while none is known
  std::vector<std::string> peers_;

  mutable std::mutex mutex_;  // of all below; never held while the registry is written
  double elected_time_ = 0;
  MonoTime recovered_at_{};
  bool recovered_marked_ = false;
  MonoTime last_removal_{};
  MonoTime next_allocation_{};
  std::map<std::string, AgentEntry> agents_;
  std::map<std::string, RecoveredAgent> recovered_;
  std::set<std::string> registering_;  // addresses whose registration is being written
  std::map<std::string, Framework> frameworks_;
  std::vector<Framework> ended_frameworks_;
  std::map<TaskKey, Task> tasks_;
  std::map<std::string, Offer> offers_;
  std::vector<std::shared_ptr<RecordStream>> operators_;
  std::map<std::string, unsigned> serials_;
  std::map<std::string, double> counters_;  // metrics that only grow
};

// Says why and ends the process at once, as Mesos' EXIT and LOG(FATAL) do.
[[noreturn]] void give_up(const std::string& why);
[[nodiscard]] double wall_seconds();
[[nodiscard]] scheduler::HttpReply json_reply(const nlohmann::json& body, int status = 200);
[[nodiscard]] scheduler::HttpReply text_reply(int status, const std::string& text = "");

}  // namespace zq::calibration
