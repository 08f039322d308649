// Redis under Sentinel, through redis-cli on each node: what the node's own server says of its
// role, and what the node's own sentinel thinks of all servers. Nothing of either is agreed by a
// majority: a master that is cut off goes on saying that it is one, and takes writes.
#include <algorithm>

#include "controller/systems/constants.h"
#include "controller/systems/endpoint.h"
#include "controller/systems/json.h"
#include "controller/systems/kinds.h"
#include "controller/systems/member_nodes.h"
#include "controller/systems/options.h"
#include "controller/systems/placement.h"
#include "controller/systems/redis_answers.h"
#include "controller/systems/tcp_terms.h"

namespace zq {
namespace {

using namespace std::chrono_literals;
using Outcome = zonequake::Observation;
using Unnamed = SeriesBook::Unnamed;

constexpr auto kStateInterval = 500ms;
constexpr auto kOpinionInterval = 1s;
constexpr auto kVersionInterval = 5s;
constexpr auto kTimeout = 2s;
constexpr const char* kClient = "/usr/bin/redis-cli";
constexpr std::uint16_t kServerPort = 6379;

class RedisSentinelAdapter final : public Adapter {
 public:
  RedisSentinelAdapter(const SystemSpec& system, std::vector<Place> places,
                       std::vector<HostPort> sentinels, std::string master)
      : system_(system.name),
        places_(std::move(places)),
        sentinels_(std::move(sentinels)),
        master_(std::move(master)),
        members_(places_),
        tcp_(system.name, places_) {}

  std::vector<NodeProbe> probes() const override {
    std::vector<NodeProbe> probes = tcp_.probes();
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const auto ask = [&](const char* what, std::uint16_t port,
                           const std::vector<std::string>& words, Nanos interval) {
        probes.push_back(new_probe(places_[i], system_ + "/" + what, interval, kTimeout));
        auto& exec = *probes.back().probe.mutable_exec();
        for (const std::string& word :
             {std::string(kClient), std::string("-h"), sentinels_[i].host, std::string("-p"),
              std::to_string(port), std::string("--json")}) {
          exec.add_argv(word);
        }
        for (const std::string& word : words) exec.add_argv(word);
      };
      ask("role", kServerPort, {"ROLE"}, kStateInterval);
      ask("info", kServerPort, {"INFO", "server"}, kVersionInterval);
      ask("master", sentinels_[i].port, {"SENTINEL", "MASTER", master_}, kOpinionInterval);
      ask("replicas", sentinels_[i].port, {"SENTINEL", "REPLICAS", master_}, kOpinionInterval);
    }
    return probes;
  }

  std::vector<Sample> interpret(const Answer& answer) override {
    if (tcp_.learn(answer)) return {};
    const Place* const place = find_place(places_, answer.node);
    if (place == nullptr) return {};
    if (answer.probe == system_ + "/role") return role(answer, *place);
    if (answer.probe == system_ + "/info") {
      if (auto version = parse_redis_version(answer.observation.body())) version_ = *version;
      return {};
    }
    if (answer.probe == system_ + "/master") return opinion(answer, *place, /*replicas=*/false);
    if (answer.probe == system_ + "/replicas") return opinion(answer, *place, /*replicas=*/true);
    return {};
  }

  std::map<std::string, Timer> timers() const override;

  bool ready() const override { return terms_ && tcp_.rto_max() && !version_.empty(); }
  std::string version() const override { return version_; }

  // The server that most sentinels take for the master and that says so itself.
  std::optional<NodeId> leader() const override {
    std::map<NodeId, std::size_t> votes;
    for (const auto& [node, master] : believed_master_) ++votes[master];
    for (const auto& [master, count] : votes) {
      const auto says = is_master_.find(master);
      if (2 * count > places_.size() && says != is_master_.end() && says->second) return master;
    }
    return std::nullopt;
  }

  std::vector<NodeId> voters() const override {
    std::vector<NodeId> ids;
    for (const Place& place : places_) ids.push_back(place.id);
    return ids;
  }

 private:
  std::vector<Sample> role(const Answer& answer, const Place& place) {
    std::optional<double> serves, leads;
    is_master_.erase(place.id);
    const Outcome& seen = answer.observation;
    if (redis_refused(seen)) serves = leads = 0;
    if (seen.outcome() == Outcome::TIMED_OUT) serves = 0;
    if (seen.outcome() == Outcome::ANSWER && seen.status() == 0) {
      if (const auto role = parse_redis_role(seen.body())) {
        leads = role->master ? 1 : 0;
        serves = role->master || role->linked ? 1 : 0;
        is_master_[place.id] = role->master;
      }
    }
    return book_.settle(answer,
                        {{node_series("coordinator.serves", place, system_), serves},
                         {node_series("coordinator.leads", place, system_), leads}},
                        Unnamed::kUnknown);
  }

  // Each server is in one of two lists, and changes lists at a failover; one probe feeds a series,
  // so members are told when either list arrives, from what both said last.
  std::vector<Sample> opinion(const Answer& answer, const Place& place, bool replicas) {
    Opinion& known = opinions_[place.id];
    auto& list = replicas ? known.replicas : known.master;
    list.reset();
    const Outcome& seen = answer.observation;
    if (seen.outcome() == Outcome::ANSWER && seen.status() == 0) {
      list = parse_sentinel_servers(seen.body());
    }
    if (!replicas) {
      believed_master_.erase(place.id);
      if (list && list->size() == 1) {
        if (const Place* const master = members_.find(list->front().host)) {
          believed_master_[place.id] = master->id;
        }
        if (list->front().terms) terms_ = list->front().terms;
      }
      return {};
    }
    SeriesValues values;
    for (const Place& member : places_) {
      std::optional<double> healthy;
      if (known.master && known.replicas) healthy = 0;
      for (const auto* servers : {&known.master, &known.replicas}) {
        if (!healthy || !*servers) continue;
        for (const SentinelServer& server : **servers) {
          if (members_.find(server.host) == &member) healthy = server.healthy ? 1 : 0;
        }
      }
      values[{"member.state", Labels{{"node", member.name},
                                     {"zone", member.zone},
                                     {"system", system_},
                                     {"seen_by", place.name}}}] = healthy;
    }
    return book_.settle(answer, values, Unnamed::kUnknown);
  }

  struct Opinion {
    std::optional<std::vector<SentinelServer>> master, replicas;
  };

  std::string system_;
  std::vector<Place> places_;
  std::vector<HostPort> sentinels_;  // of places_
  std::string master_;
  MemberNodes members_;
  TcpTerms tcp_;

  SeriesBook book_;
  std::string version_;
  std::optional<SentinelTerms> terms_;
  std::map<NodeId, Opinion> opinions_;
  std::map<NodeId, NodeId> believed_master_;
  std::map<NodeId, bool> is_master_;
};

std::map<std::string, Adapter::Timer> RedisSentinelAdapter::timers() const {
  if (!terms_) return {};
  namespace s = sentinel;
  const double down = terms_->down_after;
  const double failover = terms_->failover_timeout;
  const double elected = std::min(s::kMaxElection, failover);
  std::map<std::string, Timer> timers{
      {"down_after", {down, "SENTINEL MASTER: down-after-milliseconds"}},
      {"failover_timeout", {failover, "SENTINEL MASTER: failover-timeout"}},
  };
  // sentinel.c: a ping and the question to the others each second; a start that is drawn up to a
  // second late; a failed election is repeated after twice the failover time-out.
  const double once = down + 2 * s::kPing + s::kDesync + elected + s::kPromote;
  timers["election_max"] = {
      once + 2 * failover + s::kDesync + kSeen,
      fmt::format(
          "down-after {} + a ping and a question of {} each + up to {} of drawn delay + an "
          "election {} (the failover time-out, at most 10 s) + {} until the promoted server "
          "reports it + one more attempt after twice the failover time-out {} + {} until "
          "seen",
          seconds_text(down), seconds_text(s::kPing), seconds_text(s::kDesync),
          seconds_text(elected), seconds_text(s::kPromote), seconds_text(failover),
          seconds_text(kSeen))};
  timers["leader_exit_max"] = {
      timers["election_max"].seconds,
      "Sentinel has no rule by which a master that is cut off gives up; it would have to by the "
      "time that another may have been promoted (election_max)"};
  timers["unreachable_max"] = {
      down + s::kPing + kSeen,
      fmt::format("down-after {} + a ping {} + {} until seen", seconds_text(down),
                  seconds_text(s::kPing), seconds_text(kSeen))};
  if (const auto rto = tcp_.rto_max()) {
    timers["reregister_max"] = {
        *rto + s::kReconnect + s::kConvert + s::kInfo + s::kSync + kSeen,
        fmt::format("TCP's longest pause {} + a sentinel's link that is made anew {} + four hello "
                    "periods until the former master is told to follow {} + its next report {} + "
                    "a full copy {} + {} until seen",
                    seconds_text(*rto), seconds_text(s::kReconnect), seconds_text(s::kConvert),
                    seconds_text(s::kInfo), seconds_text(s::kSync), seconds_text(kSeen))};
  }
  return timers;
}

}  // namespace

Result<std::unique_ptr<Adapter>> make_redis_sentinel_adapter(const Cluster& cluster,
                                                             const SystemSpec& system) {
  ZQ_CHECK(check_options(system, {"master"}));
  ZQ_TRY(std::vector<Place> places, places_of(cluster, system));
  std::vector<HostPort> sentinels;
  for (const Place& place : places) {
    ZQ_TRY(HostPort endpoint, parse_host_port(system, place.endpoint));
    sentinels.push_back(std::move(endpoint));
  }
  return std::make_unique<RedisSentinelAdapter>(system, std::move(places), std::move(sentinels),
                                                option_text(system, "master", kRedisMaster));
}

}  // namespace zq
