#include "tests/calibration/scheduler/program.h"

#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdlib>

#include "controller/systems/json.h"

namespace zq::scheduler {

using nlohmann::json;

namespace {

constexpr Nanos kTick = std::chrono::milliseconds(100);
constexpr Nanos kElectionLook = std::chrono::milliseconds(200);
constexpr Nanos kDefectLook = std::chrono::seconds(1);
constexpr Nanos kAgentTimeout = std::chrono::seconds(1);
constexpr int kSilentLooks = 2;

// The signal that ends the wait, or nothing.
std::optional<int> wait_for_signal(Nanos time) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  const timespec limit{0, static_cast<long>(time.count())};
  const int signal = sigtimedwait(&set, nullptr, &limit);
  if (signal < 0) return std::nullopt;
  return signal;
}

}  // namespace

void leave(int code, const std::string& why) {
  spdlog::error("{}: exit {}", why, code);
  spdlog::shutdown();
  std::_Exit(code);
}

Program::Program(Options options) : options_(std::move(options)) {}

bool Program::outlives_session() const {
  const auto& defects = options_.defects;
  return defects.has(Defect::kStaysLeader) || defects.has(Defect::kOldLeaderKeepsWriting) ||
         (defects.has(Defect::kLosesAcceptedUpdates) && role_ == Role::kLeader);
}

// Marathon gives up as soon as the connection is in doubt, standbys too.
void Program::on_session(ZooKeeper::Session session) {
  suspended_ = session != ZooKeeper::Session::kConnected;
  if (session == ZooKeeper::Session::kExpired) expired_ = true;
  const bool back = !suspended_ && options_.defects.has(Defect::kLosesAcceptedUpdates);
  spdlog::info("ZooKeeper: {}", suspended_ ? "suspended" : "connected");
  if (suspended_ && outlives_session()) return;
  if (suspended_ || back) leave(exit_code::kZooKeeperLost, "the connection to ZooKeeper was lost");
}

Status Program::run() {
  options_.about.started = mono_now();
  ZQ_TRY(server_,
         HttpServer::listen(options_.ip, options_.about.port,
                            [this](const HttpRequest& request) { return handle(request); }));
  std::atomic<bool> first = true;
  auto connected = ZooKeeper::connect(
      options_.zk.hosts, options_.about.zk_session_timeout, options_.about.zk_connection_timeout,
      [this, &first](ZooKeeper::Session session) {
        if (session == ZooKeeper::Session::kConnected && first.exchange(false)) return;
        on_session(session);
      });
  if (!connected) leave(exit_code::kNoZooKeeper, connected.error().message);
  zookeeper_ = std::move(*connected);
  auto entered =
      Election::enter(*zookeeper_, options_.zk.path + "/leader-curator", options_.about.address());
  if (!entered) leave(exit_code::kZooKeeperLost, entered.error().message);
  election_ = std::move(*entered);
  state_ = std::make_unique<StateStore>(*zookeeper_, options_.zk.path + "/state");

  MonoTime next_look{};
  MonoTime next_defect{};
  for (;;) {
    const auto now = mono_now();
    if (now >= next_look) {
      next_look = now + kElectionLook;
      look_around();
    }
    if (now >= next_defect) {
      next_defect = now + kDefectLook;
      follow_apps();
      renew_session();
      suspect_agents();
    }
    if (role_ != Role::kStandby) {
      const std::lock_guard lock(mutex_);
      if (const auto status = scheduler_->tick(); !status) {
        leave(exit_code::kZooKeeperLost, status.error().message);
      }
    }
    if (abdicated_) close_and_leave(exit_code::kLeadershipLost, "leadership was abdicated");
    if (const auto signal = wait_for_signal(kTick)) {
      close_and_leave(0, fmt::format("signal {}", *signal));
    }
  }
}

// Without the session our latch node is gone at once and the next one leads.
void Program::close_and_leave(int code, const std::string& why) {
  drop_link();
  const std::lock_guard lock(mutex_);
  zookeeper_.reset();
  leave(code, why);
}

// Its threads call back under the lock, so that it must end outside.
void Program::drop_link() {
  std::unique_ptr<MesosLink> link;
  {
    const std::lock_guard lock(mutex_);
    link = std::move(link_);
  }
}

void Program::look_around() {
  const auto standing = election_->look();
  if (!standing) {
    if (suspended_ && outlives_session()) return;
    leave(exit_code::kZooKeeperLost, standing.error().message);
  }
  {
    const std::lock_guard lock(leader_mutex_);
    leader_ = standing->leader;
  }
  if (role_ == Role::kLeader) {
    if (!standing->leads && !outlives_session()) {
      leave(exit_code::kLeadershipLost, "leadership was lost");
    }
    return;
  }
  if (!standing->present) leave(exit_code::kLeadershipLost, "the latch node is gone");
  if (standing->leads) {
    // The second leader's state is its own: it starts anew as the first.
    if (role_ == Role::kSecondLeader) leave(exit_code::kLeadershipLost, "leads alone now");
    lead(Role::kLeader);
  } else if (options_.defects.has(Defect::kStandbyLeads) && role_ == Role::kStandby &&
             !standing->leader.empty()) {
    lead(Role::kSecondLeader);
  }
}

void Program::lead(Role role) {
  auto nodes = state_->load();
  if (!nodes) leave(exit_code::kZooKeeperLost, nodes.error().message);
  if (role == Role::kSecondLeader) {
    std::erase_if(*nodes, [](const auto& node) { return node.first.rfind("apps/", 0) != 0; });
  }
  const std::lock_guard lock(mutex_);
  scheduler_ = std::make_unique<Scheduler>(options_.about.timers, options_.defects, *this, [] {
    return Now{mono_now(), wall_now_ns()};
  });
  if (const auto loaded = scheduler_->load(*nodes); !loaded) {
    leave(exit_code::kZooKeeperLost, loaded.error().message);
  }
  options_.about.elected = mono_now();
  role_ = role;
  spdlog::info("leads with {} apps and {} instances", scheduler_->state().apps.size(),
               scheduler_->state().instances.size());
  link_ = std::make_unique<MesosLink>(*zookeeper_, options_.master.path, mesos_callbacks());
}

void Program::call(json call) {
  if (link_) link_->send(std::move(call));
}

void Program::publish(const std::string& type, json event) { events_.publish(type, event); }

Status Program::store(const std::vector<Change>& steps) {
  if (role_ == Role::kSecondLeader) return {};
  if (outlives_session() && suspended_ && !renewed_) return {};
  auto written = state_->write(steps);
  if (written || !outlives_session()) return written;
  if (renewed_) {
    // The lawful leader has changed what is there meanwhile: over it goes.
    if (state_->load()) (void)state_->write(steps);
  }
  return {};
}

// kStandbyLeads: the apps of the lawful leader.
void Program::follow_apps() {
  if (role_ != Role::kSecondLeader) return;
  StateStore store(*zookeeper_, options_.zk.path + "/state");
  auto nodes = store.load();
  if (!nodes) return;
  std::erase_if(*nodes, [](const auto& node) { return node.first.rfind("apps/", 0) != 0; });
  const std::lock_guard lock(mutex_);
  (void)scheduler_->adopt_apps(*nodes);
}

// kOldLeaderKeepsWriting: a session of its own past the end of the one that made it the leader.
void Program::renew_session() {
  if (!options_.defects.has(Defect::kOldLeaderKeepsWriting) || role_ != Role::kLeader || renewed_ ||
      !expired_) {
    return;
  }
  auto connected =
      ZooKeeper::connect(options_.zk.hosts, options_.about.zk_session_timeout, kDefectLook, {});
  if (!connected) return;
  drop_link();
  const std::lock_guard lock(mutex_);
  renewed_ = std::move(*connected);
  state_ = std::make_unique<StateStore>(*renewed_, options_.zk.path + "/state");
  if (const auto stored = state_->load()) {
    (void)state_->write(changes(*stored, to_nodes(scheduler_->state())));
  }
  spdlog::warn("goes on writing in a new session");
  link_ = std::make_unique<MesosLink>(*renewed_, options_.master.path, mesos_callbacks());
}

// kReschedulesOnInactive: an agent that the master calls inactive, or that does not answer us.
void Program::suspect_agents() {
  if (!options_.defects.has(Defect::kReschedulesOnInactive) || role_ != Role::kLeader) return;
  const auto master = link_->leader();
  if (master.empty()) return;
  HttpClient client;
  HttpCall call;
  call.connect_timeout = kAgentTimeout;
  call.timeout = kAgentTimeout;
  call.url = "http://" + master + "/slaves";
  const auto answer = client.call(call);
  if (!answer) return;
  const json root = json::parse(answer->body, nullptr, false);
  const json* const slaves = json_at(root, {"slaves"});
  if (slaves == nullptr || !slaves->is_array()) return;
  for (const auto& slave : *slaves) {
    const auto id = json_string(slave, {"id"}).value_or("");
    const auto pid = json_string(slave, {"pid"}).value_or("");
    call.url = "http://" + pid.substr(pid.find('@') + 1) + "/health";
    const bool active = json_bool(slave, {"active"}).value_or(true);
    auto& silent = silent_agents_[id];
    silent = active && client.call(call) ? 0 : silent + 1;
    if (silent != kSilentLooks) continue;
    const std::lock_guard lock(mutex_);
    (void)scheduler_->on_suspected(id);
  }
}

}  // namespace zq::scheduler
