#include "tests/calibration/master/master.h"

#include <spdlog/spdlog.h>

#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "controller/systems/json.h"

namespace zq::calibration {

using nlohmann::json;

namespace {

constexpr Nanos kElectionLook = std::chrono::milliseconds(200);
constexpr Nanos kTick = std::chrono::milliseconds(100);
constexpr Nanos kAllocation = std::chrono::seconds(1);  // --allocation_interval

std::string address_of(const json& info) {
  const auto ip = json_string(info, {"address", "ip"}).value_or("");
  const auto port = json_number(info, {"address", "port"}).value_or(0);
  return fmt::format("{}:{}", ip, static_cast<int>(port));
}

}  // namespace

void give_up(const std::string& why) {
  spdlog::error("{}", why);
  spdlog::shutdown();
  std::_Exit(1);
}

double wall_seconds() { return static_cast<double>(wall_now_ns()) / 1e9; }

json domain_of(const std::string& region, const std::string& zone) {
  if (zone.empty()) return nullptr;
  return {{"fault_domain", {{"region", {{"name", region}}}, {"zone", {{"name", zone}}}}}};
}

json MasterOptions::info(const std::string& id) const {
  json info = {{"id", id},
               {"pid", fmt::format("master@{}:{}", ip, port)},
               {"port", port},
               {"hostname", hostname},
               {"version", kVersion},
               {"address", {{"hostname", hostname}, {"ip", ip}, {"port", port}}},
               {"capabilities", json::array({{{"type", "AGENT_UPDATE"}}})}};
  if (const json domain = domain_of(region, zone); !domain.is_null()) info["domain"] = domain;
  return info;
}

Master::Master(MasterOptions options, std::unique_ptr<Replica> replica)
    : options_(std::move(options)),
      id_(to_string(boost::uuids::random_generator()())),
      info_(options_.info(id_)),
      start_time_(wall_seconds()),
      started_(mono_now()),
      replica_(std::move(replica)) {
  Registrar::Settings settings;
  const Defects& defects = options_.defects;
  settings.quorum = defects.has(Defect::kQuorumOfOne) ? 1 : options_.quorum;
  settings.fetch_timeout = options_.fetch_timeout;
  settings.store_timeout = options_.store_timeout;
  settings.without_quorum = defects.has(Defect::kWritesWithoutQuorum);
  settings.forgets_agents = defects.has(Defect::kForgetsAgents);
  registrar_ = std::make_unique<Registrar>(
      *replica_, settings,
      [this] {
        const std::lock_guard lock(election_mutex_);
        return peers_;
      },
      give_up);
}

Status Master::run() {
  ZQ_TRY(server_,
         scheduler::HttpServer::listen(options_.ip, options_.port,
                                       [this](const Request& request) { return handle(request); }));
  std::thread([this] { watch_election(); }).detach();
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
    if (serves()) tick();
  }
}

void Master::watch_election() {
  const bool stays = options_.defects.has(Defect::kStaysLeader);
  Candidacy candidacy(options_.zk, options_.session_timeout, info_);
  for (;;) {
    const auto view = candidacy.look();
    const bool led = role_ != Role::kFollower;
    if (led && !stays) {
      if (!view.known) give_up("Lost leadership... committing suicide!");
      if (!view.leads) give_up("Conceded leadership to another master... committing suicide!");
    }
    if (!led || !stays) {
      const std::lock_guard lock(election_mutex_);
      leader_ = view.leader;
      peers_.clear();
      for (const auto& other : view.others) peers_.push_back(address_of(other));
    }
    if (!led && view.leads) lead();
    std::this_thread::sleep_for(kElectionLook);
  }
}

void Master::lead() {
  spdlog::info("Elected as the leading master!");
  {
    const std::lock_guard lock(mutex_);
    elected_time_ = wall_seconds();
  }
  role_ = Role::kRecovering;
  std::thread([this] {
    registrar_->recover(info_);
    const Registry registry = registrar_->registry();
    const std::lock_guard lock(mutex_);
    for (const auto& [id, info] : registry.slaves) recovered_[id] = {info, false};
    recovered_at_ = mono_now();
    role_ = Role::kLeading;
    spdlog::info("Recovered {} agents from the registry", recovered_.size());
  }).detach();
}

void Master::tick() {
  mark_due_agents();
  mark_recovered();
  const std::lock_guard lock(mutex_);
  const auto now = mono_now();
  if (now >= next_allocation_) {
    next_allocation_ = now + kAllocation;
    allocate();
  }
  std::vector<std::string> overdue;
  for (const auto& [id, framework] : frameworks_) {
    if (framework.connected || framework.recovered) continue;
    if (now - framework.disconnected_at >= from_seconds(framework.failover_timeout())) {
      overdue.push_back(id);
    }
  }
  for (const auto& id : overdue) teardown(id);
}

std::string Master::new_id(const char* kind) {
  const unsigned serial = serials_[kind]++;
  if (std::string_view(kind).empty()) return fmt::format("{}-{:04}", id_, serial);
  return fmt::format("{}-{}{}", id_, kind, serial);
}

}  // namespace zq::calibration
