#include "tests/calibration/master/agent_link.h"

#include <thread>

#include "tests/calibration/scheduler/http_client.h"

namespace zq::calibration {

using nlohmann::json;
using scheduler::HttpCall;
using scheduler::HttpClient;

namespace {

constexpr Nanos kDelivery = std::chrono::seconds(2);
constexpr Nanos kAgain = std::chrono::milliseconds(200);

HttpCall call_to(const std::string& address, const std::string& path, const json& body,
                 Nanos timeout) {
  HttpCall call;
  call.method = "POST";
  call.url = "http://" + address + path;
  call.headers = {{"Content-Type", "application/json"}};
  call.body = body.dump();
  call.connect_timeout = call.timeout = timeout;
  return call;
}

}  // namespace

AgentLink::AgentLink(std::string address, std::string master_id, Nanos ping_timeout,
                     Callbacks callbacks)
    : address_(std::move(address)),
      master_id_(std::move(master_id)),
      ping_timeout_(ping_timeout),
      callbacks_(std::move(callbacks)) {}

std::shared_ptr<AgentLink> AgentLink::start(std::string address, std::string master_id,
                                            Nanos ping_timeout, Callbacks callbacks) {
  std::shared_ptr<AgentLink> link(
      new AgentLink(std::move(address), std::move(master_id), ping_timeout, std::move(callbacks)));
  std::thread([link] { link->ping(); }).detach();
  std::thread([link] { link->deliver(); }).detach();
  return link;
}

void AgentLink::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

void AgentLink::send(std::string path, json message) {
  message["master"] = master_id_;
  const std::lock_guard lock(mutex_);
  messages_.emplace_back(std::move(path), std::move(message));
  changed_.notify_all();
}

void AgentLink::set_connected(bool connected) {
  const std::lock_guard lock(mutex_);
  connected_ = connected;
}

bool AgentLink::wait_until(MonoTime time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_until(lock, time, [this] { return stopped_; });
}

void AgentLink::ping() {
  HttpClient client;
  unsigned missed = 0;
  for (MonoTime next = mono_now();;) {
    const auto began = std::max(next, mono_now());
    next = began + ping_timeout_;
    json body = {{"master", master_id_}};
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      body["connected"] = connected_;
    }
    const auto answer = client.call(call_to(address_, "/ping", body, ping_timeout_));
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
    }
    const bool pong = answer && answer->status == 200;
    if (pong) {
      missed = 0;
      callbacks_.on_pong();
    } else if (mono_now() - began < ping_timeout_ * 9 / 10) {
      // It failed before the time was up: the kernel there, or on the way, said no.
      callbacks_.on_broken();
    }
    if (!wait_until(next)) return;
    if (!pong) callbacks_.on_missed(++missed);
  }
}

void AgentLink::deliver() {
  HttpClient client;
  for (;;) {
    std::pair<std::string, json> message;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopped_ || !messages_.empty(); });
      if (stopped_) return;
      message = messages_.front();
    }
    const auto answer = client.call(call_to(address_, message.first, message.second, kDelivery));
    if (!answer) {
      if (!wait_until(mono_now() + kAgain)) return;
      continue;
    }
    const std::lock_guard lock(mutex_);
    messages_.pop_front();
  }
}

}  // namespace zq::calibration
