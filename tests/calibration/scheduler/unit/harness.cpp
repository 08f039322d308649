#include "tests/calibration/scheduler/unit/harness.h"

#include <gtest/gtest.h>

namespace zq::scheduler {

using nlohmann::json;

namespace {

Defects defects_of(const std::string& names) {
  auto defects = Defects::parse(names);
  EXPECT_TRUE(defects) << defects.error().message;
  return defects.value_or(Defects{});
}

json scalar(const char* name, double value) {
  return {{"name", name},
          {"type", "SCALAR"},
          {"scalar", {{"value", value}}},
          {"role", "*"},
          {"allocation_info", {{"role", "*"}}}};
}

}  // namespace

Harness::Harness(const std::string& defects, Timers timers)
    : scheduler(timers, defects_of(defects), *this, [this] { return now; }) {
  about.hostname = "10.66.1.5";
  about.port = 8080;
  about.timers = timers;
  about.started = now.mono;
  about.elected = now.mono;
  EXPECT_TRUE(scheduler.load({}));
}

Status Harness::store(const std::vector<Change>& steps) {
  if (store_fails) return fail(ErrorCode::kUnavailable, "no quorum");
  for (const auto& step : steps) {
    if (step.data) {
      nodes[step.node] = *step.data;
    } else {
      nodes.erase(step.node);
    }
  }
  return {};
}

void Harness::subscribe(const std::string& region) {
  const json domain = {
      {"fault_domain", {{"region", {{"name", region}}}, {"zone", {{"name", "a"}}}}}};
  EXPECT_TRUE(scheduler.on_event({{"type", "SUBSCRIBED"},
                                  {"subscribed",
                                   {{"framework_id", {{"value", "m1-0000"}}},
                                    {"heartbeat_interval_seconds", 15},
                                    {"master_info", {{"hostname", "m1"}, {"domain", domain}}}}}}));
}

void Harness::pass(Nanos time) {
  constexpr Nanos kTick = std::chrono::milliseconds(500);
  for (Nanos passed{}; passed < time; passed += kTick) {
    now.mono += kTick;
    now.wall_ns += kTick.count();
    EXPECT_TRUE(scheduler.tick());
  }
}

void Harness::offer(const std::string& agent, double cpus, double mem, const std::string& zone,
                    const std::string& region) {
  now.mono += std::chrono::milliseconds(1);
  now.wall_ns += 1'000'000;
  const json ports = {{"name", "ports"},
                      {"type", "RANGES"},
                      {"ranges", {{"range", json::array({{{"begin", 31000}, {"end", 31009}}})}}},
                      {"role", "*"}};
  const json domain = {
      {"fault_domain", {{"region", {{"name", region}}}, {"zone", {{"name", zone}}}}}};
  const json attribute = {{"name", "rack"}, {"type", "TEXT"}, {"text", {{"value", "r" + zone}}}};
  const json one = {{"id", {{"value", "O" + std::to_string(++offers_)}}},
                    {"agent_id", {{"value", agent}}},
                    {"hostname", "host-" + agent},
                    {"domain", domain},
                    {"attributes", json::array({attribute})},
                    {"allocation_info", {{"role", "*"}}},
                    {"resources", json::array({scalar("cpus", cpus), scalar("mem", mem),
                                               scalar("disk", 1024), ports})}};
  EXPECT_TRUE(
      scheduler.on_event({{"type", "OFFERS"}, {"offers", {{"offers", json::array({one})}}}}));
}

void Harness::update(const std::string& task, const std::string& state, const std::string& reason,
                     bool acknowledged) {
  json status = {{"task_id", {{"value", task}}},
                 {"state", state},
                 {"source", acknowledged ? "SOURCE_EXECUTOR" : "SOURCE_MASTER"},
                 {"agent_id", {{"value", agents_.contains(task) ? agents_[task] : "s1"}}},
                 {"timestamp", static_cast<double>(now.wall_ns) / 1e9}};
  if (!reason.empty()) status["reason"] = reason;
  if (acknowledged) status["uuid"] = "BRj7+5N8QcGWgc8+LaCZFg==";
  if (state == "TASK_UNREACHABLE") status["unreachable_time"]["nanoseconds"] = now.wall_ns;
  EXPECT_TRUE(scheduler.on_event({{"type", "UPDATE"}, {"update", {{"status", status}}}}));
}

void Harness::obey() {
  while (obeyed_ < calls.size()) {
    const json one = calls[obeyed_++];
    if (one.at("type") == "KILL") {
      update(one.at("kill").at("task_id").at("value"), "TASK_KILLED");
      continue;
    }
    if (one.at("type") != "ACCEPT") continue;
    for (const auto& task : one.at("accept").at("operations").at(0).at("launch").at("task_infos")) {
      const std::string id = task.at("task_id").at("value");
      agents_[id] = task.at("agent_id").at("value");
      update(id, "TASK_STARTING");
      update(id, "TASK_RUNNING");
    }
  }
}

void Harness::deploy(const std::string& id, int instances, const json& more) {
  json app = {
      {"id", id}, {"cmd", "sleep 1000"}, {"cpus", 1}, {"mem", 32}, {"instances", instances}};
  if (more.is_object()) app.update(more);
  ASSERT_EQ(request("POST", "/v2/apps", app).status, 201);
  for (int i = 1; i <= instances; ++i) {
    offer("s" + std::to_string(i), 1.5, 1024, std::string(1, static_cast<char>('a' + i - 1)));
    obey();
  }
  pass(std::chrono::seconds(1));
  ASSERT_EQ(running(id).size(), static_cast<std::size_t>(instances));
  forget_calls();
  obeyed_ = 0;
}

Response Harness::request(const std::string& method, const std::string& target, const json& body) {
  return answer(scheduler, about,
                parse_target(method, target, body.is_null() ? std::string() : body.dump()), now);
}

json Harness::get(const std::string& target) {
  const auto response = request("GET", target);
  EXPECT_EQ(response.status, 200) << target << ": " << response.body;
  return json::parse(response.body, nullptr, false);
}

std::vector<json> Harness::calls_of(const std::string& type) const {
  std::vector<json> found;
  for (const auto& one : calls) {
    if (one.at("type") == type) found.push_back(one);
  }
  return found;
}

std::vector<std::string> Harness::killed() const {
  std::vector<std::string> tasks;
  for (const auto& one : calls_of("KILL")) {
    tasks.push_back(one.at("kill").at("task_id").at("value"));
  }
  return tasks;
}

std::map<std::string, std::string> Harness::running(const std::string& app) const {
  std::map<std::string, std::string> tasks;
  for (const Instance* const instance : scheduler.state().instances_of(app)) {
    if (instance->condition == Condition::kRunning) {
      tasks[instance->task_id()] = instance->agent_id;
    }
  }
  return tasks;
}

std::size_t Harness::waiting(const std::string& app) const {
  std::size_t count = 0;
  for (const Instance* const instance : scheduler.state().instances_of(app)) {
    if (instance->condition == Condition::kScheduled) ++count;
  }
  return count;
}

std::vector<std::string> Harness::event_types() const {
  std::vector<std::string> types;
  for (const auto& [type, event] : events) types.push_back(type);
  return types;
}

}  // namespace zq::scheduler
