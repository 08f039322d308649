// ZooKeeper, through its four-letter words. `ruok` is not among them: a server without a quorum
// answers it with "imok" all the same, while `srvr` then says that it serves nobody.
#include <charconv>
#include <set>

#include "controller/systems/constants.h"
#include "controller/systems/endpoint.h"
#include "controller/systems/kinds.h"
#include "controller/systems/member_nodes.h"
#include "controller/systems/options.h"
#include "controller/systems/placement.h"
#include "controller/systems/zookeeper_answers.h"

namespace zq {
namespace {

using namespace std::chrono_literals;
using Outcome = zonequake::Observation;
using Unnamed = SeriesBook::Unnamed;

constexpr auto kStateInterval = 500ms;
constexpr auto kExhibitorInterval = 2s;  // it asks all servers each time
constexpr auto kConfigInterval = 5s;
constexpr auto kTimeout = 2s;

class ZooKeeperAdapter final : public Adapter {
 public:
  ZooKeeperAdapter(const SystemSpec& system, std::vector<Place> servers,
                   std::vector<HostPort> endpoints, std::vector<HttpEndpoint> exhibitors,
                   double max_notification)
      : system_(system.name),
        servers_(std::move(servers)),
        endpoints_(std::move(endpoints)),
        exhibitors_(std::move(exhibitors)),
        max_notification_(max_notification),
        members_(servers_) {}

  std::vector<NodeProbe> probes() const override {
    std::vector<NodeProbe> probes;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      const auto ask = [&](const char* word, Nanos interval) {
        NodeProbe probe = new_probe(servers_[i], system_ + "/" + word, interval, kTimeout);
        probe.probe.mutable_four_letter()->set_host(endpoints_[i].host);
        probe.probe.mutable_four_letter()->set_port(endpoints_[i].port);
        probe.probe.mutable_four_letter()->set_word(word);
        probes.push_back(std::move(probe));
      };
      if (exhibitors_.empty()) {
        ask("srvr", kStateInterval);
      } else {
        probes.push_back(
            new_probe(servers_[i], system_ + "/exhibitor", kExhibitorInterval, kTimeout));
        zonequake::HttpProbe& http = *probes.back().probe.mutable_http();
        http.set_url(exhibitors_[i].base + "/exhibitor/v1/cluster/status");
        http.set_unix_socket(exhibitors_[i].unix_socket);
      }
      ask("conf", kConfigInterval);
      // How long TCP may pause after the heal is the node's setting, not ZooKeeper's.
      NodeProbe rto = new_probe(servers_[i], system_ + "/tcp", kConfigInterval, kTimeout);
      rto.probe.mutable_exec()->add_argv("/bin/cat");
      rto.probe.mutable_exec()->add_argv("/proc/sys/net/ipv4/tcp_rto_max_ms");
      probes.push_back(std::move(rto));
    }
    return probes;
  }

  std::vector<Sample> interpret(const Answer& answer) override {
    const Place* const place = find_place(servers_, answer.node);
    if (place == nullptr) return {};
    const zonequake::Observation& seen = answer.observation;
    const bool answered = seen.outcome() == Outcome::ANSWER;
    if (answer.probe == system_ + "/srvr") return srvr(answer, *place);
    if (answer.probe == system_ + "/exhibitor") return exhibitor(answer, *place);
    if (answer.probe == system_ + "/conf" && answered) {
      if (auto conf = parse_zookeeper_conf(seen.body())) confs_[place->id] = *conf;
    }
    if (answer.probe == system_ + "/tcp" && answered) {
      // Kernels without the sysctl have the constant.
      const auto milliseconds = seen.status() == 0 ? parse_whole_number(seen.body()) : std::nullopt;
      rto_max_[place->id] = milliseconds ? *milliseconds / 1000 : kTcpRtoMax;
    }
    return {};
  }

  std::map<std::string, Timer> timers() const override;

  bool ready() const override {
    return 2 * confs_.size() > servers_.size() && 2 * rto_max_.size() > servers_.size() &&
           (!versions_.empty() || !exhibitors_.empty());  // Exhibitor does not tell the version
  }

  std::string version() const override { return fmt::format("{}", fmt::join(versions_, ", ")); }

  // Followers do not say whom they follow: one leader, and more than half take part.
  std::optional<NodeId> leader() const override {
    std::optional<NodeId> leader;
    std::size_t serving = 0;
    for (const auto& [node, mode] : modes_) {
      if (mode == ZooKeeperMode::kFollower || mode == ZooKeeperMode::kLeader) ++serving;
      if (mode != ZooKeeperMode::kLeader) continue;
      if (leader) return std::nullopt;
      leader = node;
    }
    return 2 * serving > voters().size() ? leader : std::nullopt;
  }

  std::vector<NodeId> voters() const override {
    std::vector<NodeId> ids;
    for (const Place& place : servers_) {
      const auto mode = modes_.find(place.id);
      if (mode == modes_.end() || mode->second != ZooKeeperMode::kObserver) ids.push_back(place.id);
    }
    return ids;
  }

  void add_facts(Facts& facts) const override {
    std::set<std::string> told;  // voters' addresses
    for (const auto& [node, conf] : confs_) {
      told.insert(conf.voters.begin(), conf.voters.end());
      if (conf.data_bytes) {
        double& bytes = facts.snapshot_bytes[system_];
        bytes = std::max(bytes, *conf.data_bytes);
      }
    }
    if (confs_.empty()) facts.missing.push_back(system_ + ": no server told its configuration");
    for (const NodeId node : voters()) {
      VoterFacts voter;
      voter.system = system_;
      voter.node = node;
      facts.voters.push_back(std::move(voter));
    }
    for (const std::string& host : told) {
      // A server is told of by its peers' address, also one that the cluster file does not have.
      if (members_.find(host) != nullptr) continue;
      facts.missing.push_back(fmt::format(
          "{}: its server {} is no node of the cluster file by that address", system_, host));
    }
    for (const auto& [name, timer] : timers()) facts.timers[{system_, name}] = timer.seconds;
  }

 private:
  std::vector<Sample> srvr(const Answer& answer, const Place& place) {
    std::optional<double> serves, leads;
    const auto outcome = answer.observation.outcome();
    if (outcome == Outcome::REFUSED) serves = leads = 0;
    if (outcome == Outcome::TIMED_OUT) serves = 0;
    // An observer stays one while it is not heard, or voters() would change with every fault.
    if (modes_[place.id] != ZooKeeperMode::kObserver) modes_[place.id] = std::nullopt;
    if (outcome == Outcome::ANSWER) {
      if (const auto state = parse_zookeeper_srvr(answer.observation.body())) {
        serves = state->mode ? 1 : 0;
        leads = state->mode == ZooKeeperMode::kLeader ? 1 : 0;
        if (state->mode) modes_[place.id] = state->mode;
        if (!state->version.empty()) versions_.insert(state->version);
      }
    }
    return book_.settle(answer,
                        {{node_series("coordinator.serves", place, system_), serves},
                         {node_series("coordinator.leads", place, system_), leads}},
                        Unnamed::kUnknown);
  }

  // What the server's own Exhibitor says of it: it looks at its server from the same machine, and
  // at the others from afar.
  std::vector<Sample> exhibitor(const Answer& answer, const Place& place) {
    std::optional<double> serves, leads;
    modes_[place.id] = std::nullopt;
    const zonequake::Observation& seen = answer.observation;
    if (seen.outcome() == Outcome::ANSWER && seen.status() == 200) {
      for (const ExhibitorServer& server :
           parse_exhibitor_status(seen.body()).value_or(std::vector<ExhibitorServer>{})) {
        if (members_.find(server.hostname) != &place) continue;
        serves = server.serves ? 1 : 0;
        leads = server.leads ? 1 : 0;
        if (server.leads) modes_[place.id] = ZooKeeperMode::kLeader;
        if (server.serves && !server.leads) modes_[place.id] = ZooKeeperMode::kFollower;
      }
    }
    return book_.settle(answer,
                        {{node_series("coordinator.serves", place, system_), serves},
                         {node_series("coordinator.leads", place, system_), leads}},
                        Unnamed::kUnknown);
  }

  std::string system_;
  std::vector<Place> servers_;
  std::vector<HostPort> endpoints_;       // of servers_
  std::vector<HttpEndpoint> exhibitors_;  // of servers_; empty: the servers are asked themselves
  double max_notification_;
  MemberNodes members_;

  SeriesBook book_;
  std::map<NodeId, std::optional<ZooKeeperMode>> modes_;  // nothing: not heard, or serving nobody
  std::map<NodeId, ZooKeeperConf> confs_;
  std::map<NodeId, double> rto_max_;
  std::set<std::string> versions_;
};

std::map<std::string, Adapter::Timer> ZooKeeperAdapter::timers() const {
  std::map<std::string, Timer> timers;
  double rto = 0;
  for (const auto& [node, seconds] : rto_max_) rto = std::max(rto, seconds);
  if (!rto_max_.empty()) timers["tcp_rto_max"] = {rto, "net.ipv4.tcp_rto_max_ms of the nodes"};

  ZooKeeperConf conf;
  for (const auto& [node, own] : confs_) {
    conf.tick = std::max(conf.tick, own.tick);
    conf.sync_limit = std::max(conf.sync_limit, own.sync_limit);
    conf.init_limit = std::max(conf.init_limit, own.init_limit);
  }
  if (conf.tick <= 0) return timers;
  const double sync = conf.tick * conf.sync_limit;
  const double init = conf.tick * conf.init_limit;
  timers["tick_time"] = {conf.tick, "conf: tickTime"};
  if (sync <= 0) return timers;  // a server that stands alone
  timers["sync_limit_time"] = {sync, "conf: syncLimit x tickTime"};
  timers["init_limit_time"] = {init, "conf: initLimit x tickTime"};
  const Timer start = {kServerStart, fmt::format("allowance for the start of a killed server {}",
                                                 seconds_text(kServerStart))};
  timers["start_max"] = timers["start_alone_max"] = start;
  timers["leader_exit_max"] = {
      sync + 2 * conf.tick + kSeen,
      fmt::format("the leader misses its quorum after syncLimit x tickTime {}, and looks once a "
                  "tick {} + {} until seen",
                  seconds_text(sync), seconds_text(conf.tick), seconds_text(kSeen))};
  timers["election_max"] = {
      sync + zookeeper::kConnect + 2 * zookeeper::kFinalizeWait + zookeeper::kLeaderRetry + kSeen,
      fmt::format("followers time out after syncLimit x tickTime {} + one connect to the lost "
                  "server {} + election {} + connect to the new leader {} + {} until seen",
                  seconds_text(sync), seconds_text(zookeeper::kConnect),
                  seconds_text(2 * zookeeper::kFinalizeWait), seconds_text(zookeeper::kLeaderRetry),
                  seconds_text(kSeen))};
  if (rto_max_.empty()) return timers;
  timers["reregister_max"] = {
      rto + max_notification_ + zookeeper::kConnect + init + kSeen,
      fmt::format("TCP's longest retransmission pause {} + longest pause between an election's "
                  "notifications {} + connect {} + initLimit x tickTime {} + {} until seen",
                  seconds_text(rto), seconds_text(max_notification_),
                  seconds_text(zookeeper::kConnect), seconds_text(init), seconds_text(kSeen))};
  return timers;
}

}  // namespace

Result<std::unique_ptr<Adapter>> make_zookeeper_adapter(const Cluster& cluster,
                                                        const SystemSpec& system) {
  ZQ_CHECK(check_options(system, {"max_notification_ms", "exhibitor"}));
  ZQ_TRY(const double max_notification,
         option_ms(system, "max_notification_ms", zookeeper::kMaxNotification));
  ZQ_TRY(std::vector<Place> servers, places_of(cluster, system));
  std::vector<HostPort> endpoints;
  for (const Place& server : servers) {
    ZQ_TRY(HostPort endpoint, parse_host_port(system, server.endpoint));
    endpoints.push_back(std::move(endpoint));
  }
  std::vector<HttpEndpoint> exhibitors;
  if (SystemSpec by_exhibitor = system; by_exhibitor.options.contains("exhibitor")) {
    by_exhibitor.endpoint = system.options.at("exhibitor");
    ZQ_TRY(const std::vector<Place> places, places_of(cluster, by_exhibitor));
    for (const Place& place : places) {
      ZQ_TRY(HttpEndpoint endpoint, parse_http_endpoint(by_exhibitor, place.endpoint));
      exhibitors.push_back(std::move(endpoint));
    }
  }
  return std::make_unique<ZooKeeperAdapter>(system, std::move(servers), std::move(endpoints),
                                            std::move(exhibitors), max_notification);
}

}  // namespace zq
