#include "tests/calibration/scheduler/mesos_link.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "agent/probe/framing.h"
#include "controller/systems/json.h"

namespace zq::scheduler {

using nlohmann::json;

namespace {

constexpr Nanos kDetection = std::chrono::milliseconds(200);
// Of new attempts: the library's driver begins with 2 s and doubles; here nothing is gained by
// waiting longer than it takes a new leader to read its registry.
constexpr Nanos kRetry = std::chrono::milliseconds(500);
constexpr Nanos kCallTimeout = std::chrono::seconds(5);
// Marathon's --mesos_heartbeat_failure_threshold.
constexpr double kMissedHeartbeats = 5;
constexpr double kDefaultHeartbeatSeconds = 15;
constexpr const char* kApi = "/api/v1/scheduler";
constexpr const char* kStreamId = "Mesos-Stream-Id";
constexpr int kOk = 200;
constexpr int kAccepted = 202;
constexpr int kTemporaryRedirect = 307;

HttpCall api_call(const std::string& master, const json& body) {
  HttpCall call;
  call.method = "POST";
  call.url = "http://" + master + kApi;
  call.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
  call.body = body.dump();
  call.timeout = kCallTimeout;
  return call;
}

}  // namespace

std::string leading_node(const std::vector<std::string>& children) {
  constexpr std::string_view kPrefix = "json.info_";
  std::string lowest;
  for (const auto& name : children) {
    if (name.rfind(kPrefix, 0) != 0) continue;
    if (lowest.empty() || name < lowest) lowest = name;
  }
  return lowest;
}

Result<std::string> master_address(const std::string& master_info) {
  const json info = json::parse(master_info, nullptr, false);
  const auto port = json_number(info, {"address", "port"});
  auto host = json_string(info, {"address", "ip"});
  if (!host) host = json_string(info, {"address", "hostname"});
  if (!host || !port) {
    return fail(ErrorCode::kInput, "the leading master's node tells no address");
  }
  return fmt::format("{}:{}", *host, static_cast<int>(*port));
}

Result<std::string> leading_master(ZooKeeper& zookeeper, const std::string& path) {
  ZQ_TRY(const auto children, zookeeper.children(path));
  const auto node = leading_node(children);
  if (node.empty()) return fail(ErrorCode::kNotFound, "no Mesos master leads");
  ZQ_TRY(const auto info, zookeeper.get(path + "/" + node));
  return master_address(info);
}

std::string redirect_address(const std::string& location) {
  const auto slashes = location.find("//");
  if (slashes == std::string::npos) return {};
  const auto begin = slashes + 2;
  return location.substr(begin, location.find('/', begin) - begin);
}

json subscribe_call(const FrameworkInfo& framework) {
  json capabilities = json::array();
  for (const char* const name :
       {"MULTI_ROLE", "PARTITION_AWARE", "REGION_AWARE", "TASK_KILLING_STATE"}) {
    capabilities.push_back({{"type", name}});
  }
  json info = {{"user", "root"},
               {"name", "marathon"},
               {"roles", json::array({"*"})},
               {"checkpoint", true},
               {"failover_timeout", to_seconds(framework.failover_timeout)},
               {"hostname", framework.hostname},
               {"webui_url", framework.webui_url},
               {"capabilities", capabilities}};
  json call = {{"type", "SUBSCRIBE"}};
  if (!framework.id.empty()) {
    info["id"] = {{"value", framework.id}};
    call["framework_id"] = {{"value", framework.id}};
  }
  call["subscribe"] = {{"framework_info", info}};
  return call;
}

MesosLink::MesosLink(ZooKeeper& zookeeper, std::string masters_path, Callbacks callbacks)
    : zookeeper_(zookeeper), path_(std::move(masters_path)), callbacks_(std::move(callbacks)) {
  threads_.emplace_back([this](const std::stop_token& stop) { watch_leader(stop); });
  threads_.emplace_back([this](const std::stop_token& stop) { subscribe(stop); });
  threads_.emplace_back([this](const std::stop_token& stop) { send_calls(stop); });
}

MesosLink::~MesosLink() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

void MesosLink::wait(Nanos time, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, time, [] { return false; });
}

std::string MesosLink::leader() const {
  const std::lock_guard lock(mutex_);
  return leader_;
}

void MesosLink::watch_leader(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto found = leading_master(zookeeper_, path_);
    if (found || found.error().code == ErrorCode::kNotFound) {
      const std::lock_guard lock(mutex_);
      const auto now = found.value_or("");
      if (now != leader_) {
        spdlog::info("leading Mesos master: {}", now.empty() ? "none" : now);
        leader_ = now;
        redirect_.clear();
        changed_.notify_all();
      }
    }
    wait(kDetection, stop);
  }
}

void MesosLink::subscribe(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::string master;
    {
      const std::lock_guard lock(mutex_);
      master = std::exchange(redirect_, "");
      if (master.empty() || leader_.empty()) master = leader_;
    }
    if (!master.empty()) hold(master, stop);
    wait(kRetry, stop);
  }
}

void MesosLink::hold(const std::string& master, const std::stop_token& stop) {
  const auto framework = callbacks_.framework();
  const auto records = make_record_io();
  const std::string elected = leader();
  const int generation = resubscribe_;
  MonoTime heard = mono_now();
  double heartbeat = kDefaultHeartbeatSeconds;
  std::string stream_id;
  std::string problem;

  HttpClient::Listener listener;
  listener.on_head = [&](const HttpAnswer& head) {
    if (head.status == kOk) {
      const auto found = head.headers.find("mesos-stream-id");
      if (found != head.headers.end()) stream_id = found->second;
      return true;
    }
    problem = fmt::format("status {}", head.status);
    const auto location = head.headers.find("location");
    if (head.status == kTemporaryRedirect && location != head.headers.end()) {
      const std::lock_guard lock(mutex_);
      redirect_ = redirect_address(location->second);
    }
    return false;
  };
  listener.on_bytes = [&](std::string_view bytes) {
    heard = mono_now();
    const auto taken = records->take(bytes, [&](const std::string& record) {
      const json event = json::parse(record, nullptr, false);
      if (event.is_discarded()) {
        problem = "a record that is no JSON";
        return;
      }
      if (json_string(event, {"type"}) == "SUBSCRIBED") {
        heartbeat = json_number(event, {"subscribed", "heartbeat_interval_seconds"})
                        .value_or(kDefaultHeartbeatSeconds);
        const std::lock_guard lock(mutex_);
        subscription_ =
            Subscription{master, stream_id,
                         json_string(event, {"subscribed", "framework_id", "value"}).value_or("")};
        changed_.notify_all();
      }
      callbacks_.on_event(event);
    });
    if (!taken) problem = taken.error().message;
    return problem.empty();
  };
  listener.stopped = [&] {
    if (mono_now() - heard > from_seconds(heartbeat * kMissedHeartbeats)) problem = "no heartbeats";
    // A new leader in ZooKeeper ends the old one's subscription, as libprocess' detector does.
    return stop.stop_requested() || !problem.empty() || generation != resubscribe_ ||
           leader() != elected;
  };
  HttpClient client;
  HttpCall call = api_call(master, subscribe_call(framework));
  const auto ended = client.stream(call, listener);
  {
    const std::lock_guard lock(mutex_);
    subscription_.reset();
  }
  spdlog::info("subscription at {} ended: {}", master,
               !problem.empty() ? problem
               : ended          ? "closed"
                                : ended.error().message);
  callbacks_.on_disconnected();
}

void MesosLink::resubscribe() { ++resubscribe_; }

void MesosLink::send(json call) {
  const std::lock_guard lock(mutex_);
  calls_.push_back(std::move(call));
  changed_.notify_all();
}

void MesosLink::send_calls(const std::stop_token& stop) {
  HttpClient client;
  for (;;) {
    json call;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return !calls_.empty(); })) return;
      call = std::move(calls_.front());
      calls_.pop_front();
    }
    if (!post(client, call)) callbacks_.on_unsent(call);
  }
}

bool MesosLink::post(HttpClient& client, const json& call) {
  std::optional<Subscription> subscription;
  {
    const std::lock_guard lock(mutex_);
    subscription = subscription_;
  }
  if (!subscription) return false;
  json full = call;
  full["framework_id"] = {{"value", subscription->framework_id}};
  HttpCall request = api_call(subscription->master, full);
  request.headers[kStreamId] = subscription->stream_id;
  const auto answer = client.call(request);
  const auto type = call.value("type", "");
  if (!answer) {
    spdlog::warn("{}: {}", type, answer.error().message);
    // A call that may have arrived is settled by reconciliation.
    return answer.error().code != ErrorCode::kUnavailable;
  }
  if (answer->status == kAccepted) return true;
  spdlog::warn("{}: the master answers {}: {}", type, answer->status, answer->body);
  return false;
}

}  // namespace zq::scheduler
