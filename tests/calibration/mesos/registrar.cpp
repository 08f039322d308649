#include "tests/calibration/mesos/registrar.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "controller/systems/json.h"
#include "tests/calibration/scheduler/http_client.h"

namespace zq::calibration {

using nlohmann::json;
using scheduler::HttpCall;
using scheduler::HttpClient;

namespace {

// Of one replica's answer, and between attempts.
constexpr Nanos kAnswer = std::chrono::seconds(1);
constexpr Nanos kRetry = std::chrono::milliseconds(100);

// What a round of questions to the peers gathers. It outlives the round: a peer that is cut off
// answers, or times out, after the others have decided.
struct Round {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::string> granted;
  std::size_t open = 0;
  std::uint64_t promised = 0;
  std::vector<Vote> votes;
};

void ask_peer(const std::shared_ptr<Round>& round, const std::string& peer, const std::string& path,
              const std::string& body) {
  HttpClient client;
  HttpCall call;
  call.method = "POST";
  call.url = "http://" + peer + path;
  call.headers = {{"Content-Type", "application/json"}};
  call.body = body;
  call.connect_timeout = call.timeout = kAnswer;
  const auto answer = client.call(call);
  const std::lock_guard lock(round->mutex);
  --round->open;
  if (answer && answer->status == 200) {
    Vote vote = Vote::from_json(parse_json(answer->body));
    round->promised = std::max(round->promised, vote.promised);
    if (vote.granted && round->granted.insert(peer).second) round->votes.push_back(std::move(vote));
  }
  round->changed.notify_all();
}

}  // namespace

Registrar::Registrar(Replica& replica, Settings settings, Peers peers, Fatal fatal)
    : replica_(replica),
      settings_(settings),
      peers_(std::move(peers)),
      fatal_(std::move(fatal)),
      thread_([this] { work(); }) {}

Registrar::~Registrar() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

bool Registrar::recovered() const {
  const std::lock_guard lock(mutex_);
  return recovered_;
}

Registry Registrar::registry() const {
  const std::lock_guard lock(mutex_);
  return registry_;
}

double Registrar::last_store_ms() const {
  const std::lock_guard lock(mutex_);
  return store_ms_;
}

Vote Registrar::ask_own(const std::string& path, const json& body) {
  const auto proposal = body.at("proposal").get<std::uint64_t>();
  if (path == "/replica/promise") return replica_.promise(proposal);
  return replica_.write(proposal, body.at("position").get<std::uint64_t>(), body.at("value"));
}

bool Registrar::ask(const std::string& path, const json& body, Nanos timeout,
                    const std::function<void(const Vote&)>& granted, bool& outdone) {
  const auto deadline = mono_now() + timeout;
  const auto proposal = body.at("proposal").get<std::uint64_t>();
  const auto round = std::make_shared<Round>();
  const Vote own = ask_own(path, body);
  outdone = !own.granted && own.promised > proposal;
  if (outdone) return false;
  if (own.granted) {
    round->granted.insert("");
    round->votes.push_back(own);
  }
  const std::string text = body.dump();
  const std::size_t quorum = settings_.without_quorum ? 1 : settings_.quorum;
  for (;;) {
    {
      std::unique_lock lock(round->mutex);
      // A peer that did not answer is asked again once the whole round is over.
      if (round->open == 0 && round->granted.size() < quorum) {
        for (const auto& peer : peers_()) {
          if (round->granted.contains(peer)) continue;
          ++round->open;
          std::thread(ask_peer, round, peer, path, text).detach();
        }
      }
      round->changed.wait_for(lock, kRetry, [&] {
        return round->granted.size() >= quorum || round->promised > proposal;
      });
      if (round->granted.size() >= quorum) {
        for (const Vote& vote : round->votes) granted(vote);
        return true;
      }
      outdone = round->promised > proposal;
    }
    if (outdone || mono_now() >= deadline) return false;
    std::this_thread::sleep_for(kRetry);
  }
}

void Registrar::recover(const json& master_info) {
  const auto deadline = mono_now() + settings_.fetch_timeout;
  const auto why = [&] {
    return fmt::format(
        "Recovery failed: Failed to recover registrar: Failed to perform fetch within {}",
        format_duration(settings_.fetch_timeout));
  };
  Vote best;
  // A proposal higher than any other: time orders the leaders' attempts, refusals correct it.
  std::uint64_t proposal = static_cast<std::uint64_t>(wall_now_ns()) / 1000;
  for (bool done = false; !done;) {
    bool outdone = false;
    best = Vote{};
    done = ask(
        "/replica/promise", {{"proposal", proposal}}, deadline - mono_now(),
        [&](const Vote& vote) {
          if (std::pair(vote.accepted, vote.position) > std::pair(best.accepted, best.position)) {
            best = vote;
          }
        },
        outdone);
    if (!done && mono_now() >= deadline) fatal_(why());
    if (!done) proposal = static_cast<std::uint64_t>(wall_now_ns()) / 1000;
  }
  Registry registry = Registry::from_json(best.value);
  if (settings_.forgets_agents) registry = Registry{};
  registry.master = master_info;
  {
    const std::lock_guard lock(mutex_);
    proposal_ = proposal;
    position_ = best.position;
  }
  bool outdone = false;
  if (!store(registry, deadline - mono_now(), outdone)) {
    fatal_(outdone ? "Recovery failed: a newer leader writes the registry" : why());
  }
  const std::lock_guard lock(mutex_);
  registry_ = registry;
  recovered_ = true;
}

bool Registrar::store(const Registry& next, Nanos timeout, bool& outdone) {
  json body;
  {
    const std::lock_guard lock(mutex_);
    body = {{"proposal", proposal_}, {"position", ++position_}, {"value", next.to_json()}};
  }
  const auto began = mono_now();
  const bool stored = ask(
      "/replica/write", body, timeout, [](const Vote&) {}, outdone);
  const std::lock_guard lock(mutex_);
  store_ms_ = to_seconds(mono_now() - began) * 1000;
  return stored || settings_.without_quorum;
}

void Registrar::apply(Operation operation) {
  Waiting waiting{std::move(operation)};
  std::unique_lock lock(mutex_);
  waiting_.push_back(&waiting);
  changed_.notify_all();
  changed_.wait(lock, [&] { return waiting.done; });
}

void Registrar::work() {
  for (;;) {
    std::vector<Waiting*> batch;
    Registry next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopped_ || (recovered_ && !waiting_.empty()); });
      if (stopped_) return;
      batch.assign(waiting_.begin(), waiting_.end());
      waiting_.clear();
      next = registry_;
    }
    for (Waiting* const one : batch) one->operation(next);
    bool outdone = false;
    if (!store(next, settings_.store_timeout, outdone)) {
      fatal_(outdone ? std::string("Failed to update registry: demoted by a newer leader")
                     : fmt::format("Failed to update registry: Failed to perform store within {}",
                                   format_duration(settings_.store_timeout)));
    }
    const std::lock_guard lock(mutex_);
    registry_ = next;
    for (Waiting* const one : batch) one->done = true;
    changed_.notify_all();
  }
}

}  // namespace zq::calibration
