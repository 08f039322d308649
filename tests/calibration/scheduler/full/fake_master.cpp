#include "tests/calibration/scheduler/full/fake_master.h"

#include <algorithm>
#include <stdexcept>

namespace zq::scheduler {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr int kPort = 5050;
constexpr double kMem = 4096;

HttpReply status(int code, const std::string& text = "") {
  return {{code, "text/plain", text, {}, false}, {}, {}};
}

json scalar(const char* name, double value) {
  return {{"name", name},
          {"type", "SCALAR"},
          {"scalar", {{"value", value}}},
          {"role", "*"},
          {"allocation_info", {{"role", "*"}}}};
}

double amount(const json& task, const std::string& name) {
  double sum = 0;
  for (const auto& resource : task.at("resources")) {
    if (resource.at("name") == name) sum += resource.at("scalar").at("value").get<double>();
  }
  return sum;
}

json domain(const std::string& zone) {
  return {{"fault_domain", {{"region", {{"name", "r1"}}}, {"zone", {{"name", zone}}}}}};
}

}  // namespace

FakeMaster::FakeMaster(const std::string& ip, const std::string& id) : ip_(ip), id_(id) {
  auto server =
      HttpServer::listen(ip, kPort, [this](const HttpRequest& request) { return handle(request); });
  if (!server) throw std::runtime_error(server.error().message);
  server_ = std::move(*server);
  offers_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      offer();
      std::this_thread::sleep_for(milliseconds(100));
    }
  });
}

FakeMaster::~FakeMaster() {
  offers_.request_stop();
  offers_.join();
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    for (const auto& stream : streams_) stream->ended = true;
    changed_.notify_all();
  }
  server_.reset();
}

void FakeMaster::enter(const std::string& hosts) {
  auto connected = ZooKeeper::connect(hosts, seconds(4), seconds(20), {});
  if (!connected) throw std::runtime_error(connected.error().message);
  const json info = {{"id", id_},
                     {"hostname", ip_},
                     {"pid", "master@" + address()},
                     {"address", {{"ip", ip_}, {"hostname", ip_}, {"port", kPort}}}};
  if (!(*connected)->make_path("/mesos") ||
      !(*connected)->create_ephemeral_sequential("/mesos/json.info_", info.dump())) {
    throw std::runtime_error("the fake master cannot stand for election");
  }
  zookeeper_ = std::move(*connected);
}

void FakeMaster::leave() { zookeeper_.reset(); }

void FakeMaster::redirect_to(const std::string& address) {
  const std::lock_guard lock(mutex_);
  redirect_ = address;
}

void FakeMaster::add_agent(const std::string& id, const std::string& zone, double cpus) {
  const std::lock_guard lock(mutex_);
  Agent agent;
  agent.zone = zone;
  agent.cpus = cpus;
  agent.mem = kMem;
  agents_.emplace(id, std::move(agent));
}

void FakeMaster::lose_agent(const std::string& id) {
  const std::lock_guard lock(mutex_);
  auto& agent = agents_.at(id);
  agent.reachable = false;
  agent.offer.clear();
  for (const auto& [task, what] : agent.tasks) {
    update(stream_of(what.framework), task, id, "TASK_UNREACHABLE", "REASON_AGENT_REMOVED", false);
  }
}

void FakeMaster::return_agent(const std::string& id) {
  const std::lock_guard lock(mutex_);
  auto& agent = agents_.at(id);
  agent.reachable = true;
  for (const auto& [task, what] : agent.tasks) {
    update(stream_of(what.framework), task, id, "TASK_RUNNING", "REASON_AGENT_REREGISTERED", false);
  }
}

void FakeMaster::set_active(const std::string& id, bool active) {
  const std::lock_guard lock(mutex_);
  agents_.at(id).active = active;
}

void FakeMaster::fail_task(const std::string& id) {
  const std::lock_guard lock(mutex_);
  for (auto& [agent_id, agent] : agents_) {
    const auto found = agent.tasks.find(id);
    if (found == agent.tasks.end()) continue;
    update(stream_of(found->second.framework), id, agent_id, "TASK_FAILED",
           "REASON_COMMAND_EXECUTOR_FAILED", true);
    agent.tasks.erase(found);
  }
}

void FakeMaster::end_stream() {
  const std::lock_guard lock(mutex_);
  for (const auto& stream : streams_) stream->ended = true;
  changed_.notify_all();
}

std::map<std::string, std::string> FakeMaster::running() {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> tasks;
  for (const auto& [id, agent] : agents_) {
    for (const auto& [task, what] : agent.tasks) tasks[task] = id;
  }
  return tasks;
}

std::vector<std::string> FakeMaster::violations() {
  const std::lock_guard lock(mutex_);
  return violations_;
}

std::vector<std::string> FakeMaster::framework_ids() {
  const std::lock_guard lock(mutex_);
  return frameworks_;
}

int FakeMaster::calls(const std::string& type) {
  const std::lock_guard lock(mutex_);
  return calls_[type];
}

int FakeMaster::unacknowledged() {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(
      std::count_if(awaited_.begin(), awaited_.end(), [](const auto& one) { return !one.second; }));
}

json FakeMaster::last_subscription() {
  const std::lock_guard lock(mutex_);
  return last_subscription_;
}

FakeMaster::Stream* FakeMaster::stream_of(const std::string& framework) {
  for (const auto& stream : streams_) {
    if (stream->framework == framework && !stream->ended) return stream.get();
  }
  return nullptr;
}

double FakeMaster::free_cpus(const Agent& agent) const {
  double free = agent.cpus;
  for (const auto& [id, task] : agent.tasks) free -= task.cpus;
  return free;
}

double FakeMaster::free_mem(const Agent& agent) const {
  double free = agent.mem;
  for (const auto& [id, task] : agent.tasks) free -= task.mem;
  return free;
}

HttpReply FakeMaster::handle(const HttpRequest& request) {
  const std::lock_guard lock(mutex_);
  if (request.target == "/slaves") {
    json slaves = json::array();
    for (const auto& [id, agent] : agents_) {
      slaves.push_back({{"id", id}, {"active", agent.active}, {"pid", "slave(1)@" + address()}});
    }
    return {json_response(200, {{"slaves", slaves}}), {}, {}};
  }
  if (request.target == "/health") return status(200);
  if (request.target != "/api/v1/scheduler") return status(404);
  if (!redirect_.empty()) {
    auto reply = status(307);
    reply.response.headers["Location"] = "//" + redirect_ + request.target;
    return reply;
  }
  const json call = json::parse(request.body, nullptr, false);
  if (call.is_discarded() || !call.contains("type")) return status(400, "no call");
  ++calls_[call.at("type")];
  if (call.at("type") == "SUBSCRIBE") return subscribe(call);
  return act(request, call);
}

HttpReply FakeMaster::subscribe(const json& call) {
  last_subscription_ = call.at("subscribe");
  const auto stream = std::make_shared<Stream>();
  stream->id = "stream-" + std::to_string(++serial_);
  if (call.contains("framework_id")) {
    stream->framework = call.at("framework_id").at("value");
    if (call.at("subscribe").at("framework_info").at("id").at("value") != stream->framework) {
      violations_.emplace_back("two framework ids in one SUBSCRIBE");
    }
  } else {
    stream->framework = id_ + "-" + std::to_string(++serial_);
  }
  frameworks_.push_back(stream->framework);
  if (Stream* const old = stream_of(stream->framework)) {
    event(*old, {{"type", "ERROR"}, {"error", {{"message", "Framework failed over"}}}});
    old->ended = true;
  }
  for (auto& [id, agent] : agents_) agent.offer.clear();
  streams_.push_back(stream);
  event(*stream, {{"type", "SUBSCRIBED"},
                  {"subscribed",
                   {{"framework_id", {{"value", stream->framework}}},
                    {"heartbeat_interval_seconds", 2.0},
                    {"master_info", {{"id", id_}, {"hostname", ip_}, {"domain", domain("a")}}}}}});
  HttpReply reply;
  reply.response.headers["Mesos-Stream-Id"] = stream->id;
  reply.stream = [this, stream](const WriteChunk& write) {
    for (;;) {
      std::string bytes;
      {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, seconds(2),
                          [&] { return !stream->records.empty() || stream->ended || stopped_; });
        if (stream->records.empty() && !stream->ended) event(*stream, {{"type", "HEARTBEAT"}});
        while (!stream->records.empty()) {
          bytes += stream->records.front();
          stream->records.pop_front();
        }
        if (bytes.empty()) return;
      }
      // In pieces that do not respect records.
      const auto half = bytes.size() / 2;
      if (!write(bytes.substr(0, half + 1)) ||
          (half + 1 < bytes.size() && !write(bytes.substr(half + 1)))) {
        const std::lock_guard lock(mutex_);
        stream->ended = true;
        return;
      }
    }
  };
  return reply;
}

void FakeMaster::event(Stream& stream, const json& event) {
  const auto text = event.dump();
  stream.records.push_back(std::to_string(text.size()) + "\n" + text);
  changed_.notify_all();
}

void FakeMaster::update(Stream* stream, const std::string& task, const std::string& agent,
                        const std::string& state, const std::string& reason, bool acknowledged) {
  if (stream == nullptr) return;
  json status = {{"task_id", {{"value", task}}},
                 {"agent_id", {{"value", agent}}},
                 {"state", state},
                 {"timestamp", static_cast<double>(wall_now_ns()) / 1e9}};
  if (!reason.empty()) status["reason"] = reason;
  if (state == "TASK_UNREACHABLE") status["unreachable_time"]["nanoseconds"] = wall_now_ns();
  if (acknowledged) {
    const auto uuid = "uuid" + std::to_string(++serial_);
    status["uuid"] = uuid;
    awaited_[uuid] = false;
  }
  event(*stream, {{"type", "UPDATE"}, {"update", {{"status", status}}}});
}

void FakeMaster::offer() {
  const std::lock_guard lock(mutex_);
  const auto now = mono_now();
  for (const auto& stream : streams_) {
    if (stream->ended || stream->suppressed) continue;
    json offers = json::array();
    for (auto& [id, agent] : agents_) {
      if (!agent.reachable || !agent.offer.empty() || now < agent.filtered_until) continue;
      if (free_cpus(agent) < 0.01) continue;
      agent.offer = id_ + "-O" + std::to_string(++serial_);
      const json ports = {
          {"name", "ports"},
          {"type", "RANGES"},
          {"ranges", {{"range", json::array({{{"begin", 31000}, {"end", 31999}}})}}},
          {"role", "*"},
          {"allocation_info", {{"role", "*"}}}};
      offers.push_back({{"id", {{"value", agent.offer}}},
                        {"agent_id", {{"value", id}}},
                        {"framework_id", {{"value", stream->framework}}},
                        {"hostname", "host-" + id},
                        {"domain", domain(agent.zone)},
                        {"attributes", json::array()},
                        {"allocation_info", {{"role", "*"}}},
                        {"resources", json::array({scalar("cpus", free_cpus(agent)),
                                                   scalar("mem", free_mem(agent)), ports})}});
    }
    if (!offers.empty()) {
      event(*stream, {{"type", "OFFERS"}, {"offers", {{"offers", offers}}}});
    }
  }
}

HttpReply FakeMaster::act(const HttpRequest& request, const json& call) {
  const auto stream_id = request.headers.find("mesos-stream-id");
  const auto framework =
      call.contains("framework_id") ? call.at("framework_id").value("value", "") : "";
  Stream* const stream = stream_of(framework);
  if (stream == nullptr) return status(403, "Framework is not subscribed");
  if (stream_id == request.headers.end() || stream_id->second != stream->id) {
    violations_.push_back("call without its stream's id: " + call.dump());
    return status(400, "The stream ID included in this request didn't match");
  }
  const std::string type = call.at("type");
  if (type == "ACCEPT") accept(*stream, call.at("accept"));
  if (type == "DECLINE") {
    for (auto& [id, agent] : agents_) {
      for (const auto& declined : call.at("decline").at("offer_ids")) {
        if (declined.at("value") != agent.offer) continue;
        agent.offer.clear();
        agent.filtered_until =
            mono_now() +
            from_seconds(call.at("decline").at("filters").at("refuse_seconds").get<double>());
      }
    }
  }
  if (type == "REVIVE") {
    stream->suppressed = false;
    for (auto& [id, agent] : agents_) agent.filtered_until = {};
  }
  if (type == "SUPPRESS") stream->suppressed = true;
  if (type == "KILL") kill(*stream, call.at("kill").at("task_id").at("value"));
  if (type == "RECONCILE") reconcile(*stream, call.at("reconcile").at("tasks"));
  if (type == "TEARDOWN") {
    for (auto& [id, agent] : agents_) {
      std::erase_if(agent.tasks,
                    [&](const auto& task) { return task.second.framework == framework; });
    }
    stream->ended = true;
    changed_.notify_all();
  }
  if (type == "ACKNOWLEDGE") {
    const auto found = awaited_.find(call.at("acknowledge").at("uuid"));
    if (found == awaited_.end()) {
      violations_.emplace_back("acknowledges what was not sent");
    } else {
      found->second = true;
    }
  }
  return status(202);
}

void FakeMaster::accept(Stream& stream, const json& accept) {
  const std::string offer = accept.at("offer_ids").at(0).at("value");
  const auto found = std::find_if(agents_.begin(), agents_.end(),
                                  [&](const auto& entry) { return entry.second.offer == offer; });
  for (const auto& operation : accept.at("operations")) {
    for (const auto& task : operation.at("launch").at("task_infos")) {
      const std::string id = task.at("task_id").at("value");
      if (found == agents_.end()) {
        update(&stream, id, task.at("agent_id").at("value"), "TASK_DROPPED",
               "REASON_INVALID_OFFERS", false);
        continue;
      }
      auto& [agent_id, agent] = *found;
      if (amount(task, "cpus") > free_cpus(agent) + 0.001) {
        violations_.push_back("launches more than was offered: " + task.dump());
        continue;
      }
      agent.tasks[id] = {amount(task, "cpus"), amount(task, "mem"), stream.framework};
      update(&stream, id, agent_id, "TASK_STARTING", "", true);
      update(&stream, id, agent_id, "TASK_RUNNING", "", true);
    }
  }
  if (found != agents_.end()) found->second.offer.clear();
}

void FakeMaster::kill(Stream& stream, const std::string& task) {
  for (auto& [id, agent] : agents_) {
    if (!agent.tasks.contains(task)) continue;
    if (!agent.reachable) return;
    agent.tasks.erase(task);
    agent.filtered_until = {};
    update(&stream, task, id, "TASK_KILLED", "", true);
    return;
  }
  update(&stream, task, "", "TASK_UNKNOWN", "REASON_RECONCILIATION", false);
}

void FakeMaster::reconcile(Stream& stream, const json& tasks) {
  if (tasks.empty()) {
    for (const auto& [id, agent] : agents_) {
      for (const auto& [task, what] : agent.tasks) {
        if (what.framework != stream.framework) continue;
        update(&stream, task, id, agent.reachable ? "TASK_RUNNING" : "TASK_UNREACHABLE",
               "REASON_RECONCILIATION", false);
      }
    }
    return;
  }
  for (const auto& asked : tasks) {
    const std::string task = asked.at("task_id").at("value");
    const std::string agent_id = asked.at("agent_id").at("value");
    const auto& agent = agents_.at(agent_id);
    const char* const state = !agent.reachable             ? "TASK_UNREACHABLE"
                              : agent.tasks.contains(task) ? "TASK_RUNNING"
                                                           : "TASK_GONE";
    update(&stream, task, agent_id, state, "REASON_RECONCILIATION", false);
  }
}

}  // namespace zq::scheduler
