// What the master says, and what was never sent to it.
#include <spdlog/spdlog.h>

#include "controller/systems/json.h"
#include "tests/calibration/scheduler/program.h"

namespace zq::scheduler {

using nlohmann::json;

MesosLink::Callbacks Program::mesos_callbacks() {
  MesosLink::Callbacks callbacks;
  callbacks.framework = [this] {
    const std::lock_guard lock(mutex_);
    FrameworkInfo framework;
    framework.id = scheduler_->state().framework_id;
    framework.hostname = options_.about.hostname;
    framework.webui_url = "http://" + options_.about.address();
    framework.failover_timeout = options_.about.failover_timeout;
    if (torn_down_ && !scheduler_->connected()) framework.id.clear();
    return framework;
  };
  callbacks.on_event = [this](const json& event) { on_mesos(event); };
  callbacks.on_disconnected = [this] {
    const std::lock_guard lock(mutex_);
    scheduler_->on_disconnected();
  };
  callbacks.on_unsent = [this](const json& call) { on_unsent(call); };
  return callbacks;
}

void Program::on_mesos(const json& event) {
  const auto type = json_string(event, {"type"}).value_or("");
  if (type == "ERROR") return on_mesos_error(json_string(event, {"error", "message"}).value_or(""));
  const std::lock_guard lock(mutex_);
  if (type == "SUBSCRIBED" && options_.defects.has(Defect::kTearsDownOnFailover) &&
      !scheduler_->state().framework_id.empty() && !torn_down_.exchange(true)) {
    link_->send({{"type", "TEARDOWN"}});
    return;
  }
  if (const auto status = scheduler_->on_event(event); !status) {
    leave(exit_code::kZooKeeperLost, status.error().message);
  }
}

void Program::on_mesos_error(const std::string& message) {
  spdlog::error("the master says: {}", message);
  const bool removed = message.find("removed") != std::string::npos;
  const auto& defects = options_.defects;
  if (defects.has(Defect::kStaysLeader) || defects.has(Defect::kOldLeaderKeepsWriting)) return;
  if (torn_down_) return;
  leave(removed ? exit_code::kFrameworkRemoved : exit_code::kMesosError,
        "the master ended the subscription");
}

// Tasks that nobody was asked to launch: what libmesos' driver tells Marathon in that case.
void Program::on_unsent(const json& call) {
  const json* const operations = json_at(call, {"accept", "operations"});
  if (operations == nullptr || !operations->is_array()) return;
  const std::lock_guard lock(mutex_);
  for (const auto& operation : *operations) {
    const json* const tasks = json_at(operation, {"launch", "task_infos"});
    if (tasks == nullptr || !tasks->is_array()) continue;
    for (const auto& task : *tasks) {
      const json status = {{"task_id", task.at("task_id")},
                           {"agent_id", task.at("agent_id")},
                           {"state", "TASK_DROPPED"},
                           {"source", "SOURCE_MASTER"},
                           {"reason", "REASON_MASTER_DISCONNECTED"},
                           {"message", "the launch was not sent"}};
      if (const auto done =
              scheduler_->on_event({{"type", "UPDATE"}, {"update", {{"status", status}}}});
          !done) {
        leave(exit_code::kZooKeeperLost, done.error().message);
      }
    }
  }
}

}  // namespace zq::scheduler
