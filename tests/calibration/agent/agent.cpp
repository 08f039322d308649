#include "tests/calibration/agent/agent.h"

#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>

#include "controller/systems/json.h"
#include "tests/calibration/scheduler/http_client.h"

namespace zq::calibration {

using nlohmann::json;
using scheduler::HttpCall;
using scheduler::HttpClient;

namespace {

constexpr Nanos kElectionLook = std::chrono::milliseconds(200);
constexpr Nanos kTick = std::chrono::milliseconds(100);
constexpr Nanos kRegistration = std::chrono::seconds(5);   // of one attempt
constexpr Nanos kLongestPause = std::chrono::seconds(60);  // REGISTER_RETRY_INTERVAL_MAX

}  // namespace

Agent::Agent(AgentOptions options)
    : options_(std::move(options)),
      start_time_(static_cast<double>(wall_now_ns()) / 1e9),
      started_(mono_now()) {}

Status Agent::run() {
  restore();
  ZQ_TRY(server_, scheduler::HttpServer::listen(
                      options_.ip, options_.port,
                      [this](const scheduler::HttpRequest& request) { return handle(request); }));
  std::thread([this] { watch_masters(); }).detach();
  std::thread([this] { keep_registered(); }).detach();
  std::thread([this] { send_updates(); }).detach();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  for (;;) {
    const timespec limit{0, kTick.count()};
    if (sigtimedwait(&signals, nullptr, &limit) > 0) {
      spdlog::info("ended by a signal");
      spdlog::shutdown();
      std::_Exit(0);
    }
    tick();
  }
}

void Agent::watch_masters() {
  Candidacy candidacy(options_.master, options_.session_timeout, std::nullopt);
  for (;;) {
    const auto view = candidacy.look();
    {
      const std::lock_guard lock(mutex_);
      if (json_string(view.leader, {"id"}) != json_string(leader_, {"id"})) {
        spdlog::info("leading master: {}",
                     json_string(view.leader, {"pid"}).value_or("none is known"));
        const bool lost = view.leader.is_null();
        leader_ = view.leader;
        registered_ = false;
        changed_.notify_all();
        if (lost && options_.defects.has(Defect::kKillsWithoutMaster)) kill_all();
      }
    }
    std::this_thread::sleep_for(kElectionLook);
  }
}

// Mesos' Slave::doReliableRegistration: the first attempt after a random part of the factor, then
// after random parts of twice as long each, up to a minute.
void Agent::keep_registered() {
  std::mt19937_64 random(std::random_device{}());
  Nanos longest = options_.backoff;
  std::string tried;
  for (;;) {
    json leader;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kTick, [this] { return !leader_.is_null() && !registered_; });
      // No ping for as long as the master takes to give us up: it may not know of us any more.
      if (registered_ && ping_deadline_ > Nanos{0} && mono_now() - last_ping_ > ping_deadline_) {
        spdlog::info("no pings from the master");
        registered_ = false;
      }
      if (leader_.is_null() || registered_) {
        longest = options_.backoff;
        continue;
      }
      if (options_.defects.has(Defect::kNeverReregisters) && registered_before_) continue;
      leader = leader_;
      const auto master = json_string(leader_, {"id"}).value_or("");
      if (std::exchange(tried, master) != master) longest = options_.backoff;
      const Nanos pause{std::uniform_int_distribution<std::int64_t>(0, longest.count())(random)};
      // A new leader is not kept waiting for what was due to the old one.
      if (changed_.wait_for(lock, pause, [&] { return json_string(leader_, {"id"}) != master; })) {
        continue;
      }
    }
    longest = std::min(2 * longest, kLongestPause);
    if (register_once(leader)) longest = options_.backoff;
  }
}

json Agent::registration() const {
  json tasks = json::array();
  for (const auto& [key, task] : tasks_) {
    if (task.over) continue;
    tasks.push_back({{"framework", key.first}, {"info", task.info}, {"statuses", task.statuses}});
  }
  json frameworks = json::array();
  for (const auto& [id, info] : frameworks_) frameworks.push_back(info);
  return {{"id", id_},
          {"address", options_.address()},
          {"info", options_.info},
          {"frameworks", frameworks},
          {"tasks", tasks}};
}

bool Agent::register_once(const json& leader) {
  HttpCall call;
  call.method = "POST";
  call.url = fmt::format("http://{}:{}/agent/register",
                         json_string(leader, {"address", "ip"}).value_or(""),
                         leader.at("address").value("port", 5050));
  call.headers = {{"Content-Type", "application/json"}};
  call.connect_timeout = call.timeout = kRegistration;
  {
    const std::lock_guard lock(mutex_);
    call.body = registration().dump();
  }
  HttpClient client;
  const auto answer = client.call(call);
  if (!answer) return false;
  const json body = parse_json(answer->body);
  if (json_bool(body, {"shutdown"}).value_or(false)) shut_down();
  if (answer->status != 200 || json_string(body, {"id"}).value_or("").empty()) return false;
  const std::lock_guard lock(mutex_);
  if (json_string(leader_, {"id"}) != json_string(leader, {"id"})) return false;
  on_registered(body);
  return true;
}

void Agent::on_registered(const json& answer) {
  const bool returns = std::exchange(registered_before_, true);
  id_ = answer.at("id");
  ping_deadline_ = std::chrono::milliseconds(answer.value("ping_deadline_ms", 0));
  last_ping_ = mono_now();
  registered_ = true;
  spdlog::info("registered as {}", id_);
  // What was under way to another master is sent to this one now.
  for (auto& [key, task] : tasks_) task.send_at = {};
  if (returns && options_.defects.has(Defect::kRestartsAtReturn)) {
    for (const auto& [key, task] : tasks_) signal_process(task.process, SIGKILL);
  }
  save();
  changed_.notify_all();
}

// The master does not want us back: without tasks and under a new name.
void Agent::shut_down() {
  const std::lock_guard lock(mutex_);
  spdlog::error("told to shut down");
  for (const auto& [key, task] : tasks_) signal_process(task.process, SIGKILL);
  tasks_.clear();
  frameworks_.clear();
  id_.clear();
  save();
  spdlog::shutdown();
  std::_Exit(1);
}

}  // namespace zq::calibration
