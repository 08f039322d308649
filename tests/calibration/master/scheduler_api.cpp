// POST /api/v1/scheduler: frameworks and their calls.
#include <spdlog/spdlog.h>

#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <thread>

#include "controller/systems/json.h"
#include "tests/calibration/master/master.h"

namespace zq::calibration {

using nlohmann::json;

scheduler::HttpReply Master::scheduler_call(const Request& request) {
  if (request.method != "POST") return text_reply(405, "Expecting one of { 'POST' }");
  const json call = parse_json(request.body);
  const auto type = json_string(call, {"type"});
  if (!type) return text_reply(400, "Failed to parse body into a call");
  if (*type == "SUBSCRIBE") return subscribe(call);
  const std::lock_guard lock(mutex_);
  const auto id = json_string(call, {"framework_id", "value"}).value_or("");
  const auto found = frameworks_.find(id);
  if (found == frameworks_.end()) return text_reply(400, "Framework cannot be found");
  Framework& framework = found->second;
  if (!framework.connected) return text_reply(403, "Framework is not subscribed");
  const auto stream = request.headers.find("mesos-stream-id");
  if (stream == request.headers.end()) {
    return text_reply(400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header");
  }
  if (stream->second != framework.stream_id) {
    return text_reply(400,
                      "The stream ID included in this request didn't match the stream ID currently "
                      "associated with framework ID " +
                          id);
  }
  if (*type == "TEARDOWN") {
    teardown(id);
  } else if (*type == "ACCEPT") {
    accept(framework, call);
  } else if (*type == "DECLINE") {
    decline(framework, call);
  } else if (*type == "REVIVE") {
    framework.suppressed = false;
    framework.refused.clear();
    allocate();
  } else if (*type == "SUPPRESS") {
    framework.suppressed = true;
  } else if (*type == "KILL") {
    kill(framework, call);
  } else if (*type == "ACKNOWLEDGE") {
    acknowledge(framework, call);
  } else if (*type == "RECONCILE") {
    reconcile(framework, call);
  } else {
    return text_reply(501, "Call '" + *type + "' is not implemented");
  }
  return text_reply(202);
}

scheduler::HttpReply Master::subscribe(const json& call) {
  const json* const info = json_at(call, {"subscribe", "framework_info"});
  if (info == nullptr) return text_reply(400, "Expecting 'subscribe' to be present");
  auto id = json_string(*info, {"id", "value"});
  if (!id) id = json_string(call, {"framework_id", "value"});
  const auto stream = std::make_shared<RecordStream>();
  const std::lock_guard lock(mutex_);
  for (const auto& ended : ended_frameworks_) {
    if (id && ended.id == *id) return text_reply(403, "Framework has been removed");
  }
  if (!id) id = new_id("");
  const bool fresh = !frameworks_.contains(*id);
  Framework& framework = frameworks_[*id];
  if (framework.connected) {
    framework.stream->push({{"type", "ERROR"}, {"error", {{"message", "Framework failed over"}}}});
    framework.stream->end();
  }
  drop_offers_of(*id);
  framework.id = *id;
  framework.info = *info;
  framework.info["id"] = {{"value", *id}};
  framework.connected = true;
  framework.recovered = false;
  framework.suppressed = false;
  framework.refused.clear();
  if (framework.registered_time == 0) framework.registered_time = wall_seconds();
  framework.reregistered_time = wall_seconds();
  framework.stream = stream;
  framework.stream_id = to_string(boost::uuids::random_generator()());
  spdlog::info("framework {} subscribed", *id);
  stream->push({{"type", "SUBSCRIBED"},
                {"subscribed",
                 {{"framework_id", {{"value", *id}}},
                  {"heartbeat_interval_seconds", kHeartbeatSeconds},
                  {"master_info", info_}}}});
  stream->push({{"type", "HEARTBEAT"}});
  const char* const event = fresh ? "FRAMEWORK_ADDED" : "FRAMEWORK_UPDATED";
  const char* const key = fresh ? "framework_added" : "framework_updated";
  tell_operators({{"type", event}, {key, {{"framework", v1_framework(framework)}}}});
  allocate();

  Reply reply;
  reply.response.status = 200;
  reply.response.headers["Mesos-Stream-Id"] = framework.stream_id;
  reply.stream = [this, stream, name = *id](const scheduler::WriteChunk& write) {
    stream->serve(write);
    disconnect(name, stream.get());
  };
  return reply;
}

void Master::disconnect(const std::string& id, const RecordStream* stream) {
  const std::lock_guard lock(mutex_);
  const auto found = frameworks_.find(id);
  if (found == frameworks_.end() || found->second.stream.get() != stream) return;
  spdlog::info("framework {} disconnected", id);
  found->second.connected = false;
  found->second.disconnected_at = mono_now();
  drop_offers_of(id);
}

void Master::teardown(const std::string& id) {
  const auto found = frameworks_.find(id);
  if (found == frameworks_.end()) return;
  spdlog::info("framework {} is removed", id);
  drop_offers_of(id);
  std::vector<TaskKey> keys;
  for (const auto& [key, task] : tasks_) {
    if (key.first == id) keys.push_back(key);
  }
  for (const auto& key : keys) {
    Task& task = tasks_.at(key);
    if (const auto agent = agents_.find(task.agent); agent != agents_.end()) {
      agent->second.link->send("/kill", {{"framework", key.first}, {"task", key.second}});
    }
    task.state = "TASK_KILLED";
    operator_update(task, master_status(task, "REASON_FRAMEWORK_REMOVED", "Framework removed"));
    finish(key);
  }
  Framework& framework = found->second;
  if (framework.stream != nullptr) framework.stream->end();
  tell_operators(
      {{"type", "FRAMEWORK_REMOVED"}, {"framework_removed", {{"framework_info", framework.info}}}});
  framework.connected = false;
  ended_frameworks_.push_back(std::move(framework));
  frameworks_.erase(found);
}

void Master::acknowledge(Framework& framework, const json& call) {
  const auto agent =
      agents_.find(json_string(call, {"acknowledge", "agent_id", "value"}).value_or(""));
  if (agent == agents_.end()) return;
  agent->second.link->send(
      "/acknowledge",
      {{"framework", framework.id},
       {"task", json_string(call, {"acknowledge", "task_id", "value"}).value_or("")},
       {"uuid", json_string(call, {"acknowledge", "uuid"}).value_or("")}});
}

void Master::kill(Framework& framework, const json& call) {
  const std::string task = json_string(call, {"kill", "task_id", "value"}).value_or("");
  const std::string named = json_string(call, {"kill", "agent_id", "value"}).value_or("");
  const TaskKey key{framework.id, task};
  const auto found = tasks_.find(key);
  if (found == tasks_.end()) {
    // Not here, but perhaps where the scheduler says: then the agent knows.
    reconcile_one(framework, task, named);
    return;
  }
  const auto agent = agents_.find(found->second.agent);
  if (agent == agents_.end()) return;
  agent->second.killed.insert(key);
  if (!agent->second.active) return;  // told when it is back
  json message = {{"framework", framework.id}, {"task", task}};
  if (const json* const policy = json_at(call, {"kill", "kill_policy"}))
    message["policy"] = *policy;
  agent->second.link->send("/kill", std::move(message));
}

void Master::reconcile(Framework& framework, const json& call) {
  ++counters_["master/messages_reconcile_tasks"];
  const json* const list = json_at(call, {"reconcile", "tasks"});
  if (list != nullptr && list->is_array() && !list->empty()) {
    for (const auto& one : *list) {
      reconcile_one(framework, json_string(one, {"task_id", "value"}).value_or(""),
                    json_string(one, {"agent_id", "value"}).value_or(""));
    }
    return;
  }
  // Implicit: what is known, and nothing of what is not reachable.
  for (const auto& [key, task] : tasks_) {
    if (key.first != framework.id) continue;
    forward(framework,
            master_status(task, "REASON_RECONCILIATION", "Reconciliation: Latest task state"));
  }
}

// Mesos' cases in their order (Master::_reconcileTasks).
void Master::reconcile_one(Framework& framework, const std::string& id, const std::string& agent) {
  const bool aware = framework.can("PARTITION_AWARE");
  const auto found = tasks_.find({framework.id, id});
  if (found != tasks_.end()) {
    forward(framework, master_status(found->second, "REASON_RECONCILIATION",
                                     "Reconciliation: Latest task state"));
    return;
  }
  Task task;
  task.id = id;
  task.agent = agent;
  const auto answer = [&](const char* state, const char* message, std::int64_t unreachable_ns) {
    task.state = aware ? state : "TASK_LOST";
    json status = master_status(task, "REASON_RECONCILIATION", message);
    if (agent.empty()) status.erase("agent_id");
    if (unreachable_ns != 0) status["unreachable_time"] = {{"nanoseconds", unreachable_ns}};
    forward(framework, status);
  };
  if (!agent.empty() && agents_.contains(agent)) {
    return answer("TASK_GONE", "Reconciliation: Task is unknown to the agent", 0);
  }
  const bool transitional =
      agent.empty() ? !recovered_.empty() || !registering_.empty() : recovered_.contains(agent);
  if (transitional) return;
  const Registry registry = registrar_->registry();
  if (const auto lost = registry.unreachable.find(agent); lost != registry.unreachable.end()) {
    return answer("TASK_UNREACHABLE", "Reconciliation: Task is unreachable", lost->second);
  }
  if (registry.gone.contains(agent)) {
    return answer("TASK_GONE_BY_OPERATOR", "Reconciliation: Task is gone", 0);
  }
  answer("TASK_UNKNOWN", "Reconciliation: Task is unknown", 0);
}

}  // namespace zq::calibration
