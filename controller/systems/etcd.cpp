// etcd, through its HTTP gateway. /health asks for a value through the quorum, so it tells whether
// the member serves; /v3/maintenance/status is answered from the member's own view, so that an
// isolated leader claims to lead until it has counted its quorum.
#include <charconv>
#include <set>

#include "controller/systems/constants.h"
#include "controller/systems/endpoint.h"
#include "controller/systems/json.h"
#include "controller/systems/kinds.h"
#include "controller/systems/options.h"
#include "controller/systems/placement.h"

namespace zq {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Outcome = zonequake::Observation;
using Unnamed = SeriesBook::Unnamed;

constexpr auto kStateInterval = 500ms;
constexpr auto kConfigInterval = 5s;
constexpr auto kTimeout = 2s;  // /health itself gives up after one second

class EtcdAdapter final : public Adapter {
 public:
  EtcdAdapter(const SystemSpec& system, std::vector<Place> members,
              std::vector<HttpEndpoint> endpoints, double election, double heartbeat)
      : system_(system.name),
        members_(std::move(members)),
        endpoints_(std::move(endpoints)),
        election_(election),
        heartbeat_(heartbeat) {}

  std::vector<NodeProbe> probes() const override {
    std::vector<NodeProbe> probes;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const auto ask = [&](const char* what, const char* path, bool post, Nanos interval) {
        NodeProbe probe = new_probe(members_[i], system_ + "/" + what, interval, kTimeout);
        auto& http = *probe.probe.mutable_http();
        http.set_url(endpoints_[i].base + path);
        http.set_unix_socket(endpoints_[i].unix_socket);
        if (post) {
          http.set_method("POST");
          http.set_body("{}");
        }
        probes.push_back(std::move(probe));
      };
      ask("status", "/v3/maintenance/status", true, kStateInterval);
      ask("health", "/health", false, kStateInterval);
      ask("members", "/v3/cluster/member/list", true, kConfigInterval);
    }
    return probes;
  }

  std::vector<Sample> interpret(const Answer& answer) override {
    const Place* const place = find_place(members_, answer.node);
    if (place == nullptr) return {};
    if (answer.probe == system_ + "/status") return status(answer, *place);
    if (answer.probe == system_ + "/health") return health(answer, *place);
    if (answer.probe == system_ + "/members") learn_members(answer.observation);
    return {};
  }

  std::map<std::string, Timer> timers() const override {
    const std::string election = seconds_text(election_);
    const std::string seen = seconds_text(kSeen);
    const Timer start = {kServerStart, fmt::format("allowance for the start of a killed member {}",
                                                   seconds_text(kServerStart))};
    return {
        {"start_max", start},
        {"start_alone_max", start},
        {"heartbeat_period", {heartbeat_, "option heartbeat_ms"}},
        {"election_timeout", {election_, "option election_timeout_ms"}},
        {"leader_exit_max",
         {2 * election_ + heartbeat_ + kSeen,
          fmt::format("raft: the leader counts its quorum every election timeout {}, so it notices "
                      "after two + a heartbeat {} + {} until seen",
                      election, seconds_text(heartbeat_), seen)}},
        {"election_max",
         {4 * election_ + heartbeat_ + kSeen,
          fmt::format("raft: two rounds (the first may split the vote), each within twice the "
                      "election timeout {} + a heartbeat {} + {} until seen",
                      election, seconds_text(heartbeat_), seen)}},
        {"reregister_max",
         {etcd::kPeerStreamDead + etcd::kPeerDialBase + election_ + 4 * election_ + kSeen,
          fmt::format("a dead peer stream {} + a peer's dial time-out {} + an election at the heal "
                      "(two rounds of twice the election timeout {}) + {} until seen",
                      seconds_text(etcd::kPeerStreamDead),
                      seconds_text(etcd::kPeerDialBase + election_), election, seen)}},
    };
  }

  bool ready() const override { return !versions_.empty(); }

  std::string version() const override { return fmt::format("{}", fmt::join(versions_, ", ")); }

  std::optional<NodeId> leader() const override {
    std::map<std::string, std::size_t> votes;
    for (const auto& [node, id] : believed_leader_) ++votes[id];
    const std::size_t voting_members = voters().size();
    for (const auto& [id, count] : votes) {
      const auto node = member_ids_.find(id);
      if (2 * count > voting_members && node != member_ids_.end()) return node->second;
    }
    return std::nullopt;
  }

  std::vector<NodeId> voters() const override {
    std::vector<NodeId> ids;
    for (const Place& place : members_) {
      if (!learners_.contains(place.id)) ids.push_back(place.id);
    }
    return ids;
  }

  void add_facts(Facts& facts) const override {
    if (!believes_) facts.missing.push_back(system_ + ": no member told who belongs to it");
    for (const NodeId node : voters()) {
      VoterFacts voter;
      voter.system = system_;
      voter.node = node;
      const auto urls = peers_.find(node);
      if (urls != peers_.end()) voter.advertised = urls->second;
      facts.voters.push_back(std::move(voter));
    }
    for (const auto& [name, timer] : timers()) facts.timers[{system_, name}] = timer.seconds;
    if (database_bytes_) facts.snapshot_bytes[system_] = *database_bytes_;
  }

 private:
  std::vector<Sample> status(const Answer& answer, const Place& place) {
    std::optional<double> leads;
    if (answer.observation.outcome() == Outcome::REFUSED) leads = 0;
    believed_leader_.erase(place.id);
    if (answer.observation.outcome() == Outcome::ANSWER && answer.observation.status() == 200) {
      // 64-bit numbers are strings in this gateway; no "leader" means that there is none.
      const json root = parse_json(answer.observation.body());
      const auto own = json_string(root, {"header", "member_id"});
      const std::string leader = json_string(root, {"leader"}).value_or("0");
      if (own) {
        leads = leader == *own ? 1 : 0;
        member_ids_[*own] = place.id;
        if (leader != "0") believed_leader_[place.id] = leader;
      }
      const auto version = json_string(root, {"version"});
      if (const auto bytes = parse_whole(json_string(root, {"dbSize"}))) database_bytes_ = bytes;
      if (own && version) versions_.insert(*version);
    }
    return book_.settle(answer, {{node_series("coordinator.leads", place, system_), leads}},
                        Unnamed::kUnknown);
  }

  std::vector<Sample> health(const Answer& answer, const Place& place) {
    std::optional<double> serves;
    const auto outcome = answer.observation.outcome();
    if (outcome == Outcome::REFUSED || outcome == Outcome::TIMED_OUT) serves = 0;
    if (outcome == Outcome::ANSWER) {
      const auto health = json_string(parse_json(answer.observation.body()), {"health"});
      if (answer.observation.status() != 200 || health == "false") {
        serves = 0;
      } else if (health == "true") {
        serves = 1;
      }
    }
    return book_.settle(answer, {{node_series("coordinator.serves", place, system_), serves}},
                        Unnamed::kUnknown);
  }

  // Learners do not vote.
  void learn_members(const zonequake::Observation& observation) {
    if (observation.outcome() != Outcome::ANSWER || observation.status() != 200) return;
    const json root = parse_json(observation.body());
    const json* const list = json_at(root, {"members"});
    if (list == nullptr || !list->is_array()) return;
    learners_.clear();
    believes_ = true;
    for (const json& member : *list) {
      const auto node = member_ids_.find(json_string(member, {"ID"}).value_or(""));
      if (node != member_ids_.end() && json_bool(member, {"isLearner"}).value_or(false)) {
        learners_.insert(node->second);
      }
      if (node != member_ids_.end()) peers_[node->second] = addresses_in(member);
    }
  }

  // "http://10.66.1.1:2380", "http://[fd66::1]:2380"; names are left out.
  static std::vector<IpAddress> addresses_in(const json& member) {
    std::vector<IpAddress> addresses;
    const json* const urls = json_at(member, {"peerURLs"});
    if (urls == nullptr || !urls->is_array()) return addresses;
    for (const json& url : *urls) {
      std::string host = url.is_string() ? url.get<std::string>() : "";
      const auto scheme = host.find("://");
      if (scheme == std::string::npos) continue;
      host.erase(0, scheme + 3);
      host = host.starts_with('[') ? host.substr(1, host.find(']') - 1)
                                   : host.substr(0, host.find(':'));
      if (const auto address = IpAddress::parse(host)) addresses.push_back(*address);
    }
    return addresses;
  }

  static std::optional<double> parse_whole(const std::optional<std::string>& text) {
    std::uint64_t value = 0;
    if (!text) return std::nullopt;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    return error == std::errc{} ? std::optional(static_cast<double>(value)) : std::nullopt;
  }

  std::string system_;
  std::vector<Place> members_;
  std::vector<HttpEndpoint> endpoints_;  // of members_
  double election_, heartbeat_;

  SeriesBook book_;
  std::map<std::string, NodeId> member_ids_;
  std::map<NodeId, std::string> believed_leader_;
  std::set<NodeId> learners_;
  std::map<NodeId, std::vector<IpAddress>> peers_;  // where they say that peers reach them
  bool believes_ = false;                           // some member told of all
  std::optional<double> database_bytes_;            // what a snapshot holds, at most
  std::set<std::string> versions_;
};

}  // namespace

Result<std::unique_ptr<Adapter>> make_etcd_adapter(const Cluster& cluster,
                                                   const SystemSpec& system) {
  ZQ_CHECK(check_options(system, {"election_timeout_ms", "heartbeat_ms"}));
  ZQ_TRY(const double election, option_ms(system, "election_timeout_ms", etcd::kElection));
  ZQ_TRY(const double heartbeat, option_ms(system, "heartbeat_ms", etcd::kHeartbeat));
  ZQ_TRY(std::vector<Place> members, places_of(cluster, system));
  std::vector<HttpEndpoint> endpoints;
  for (const Place& member : members) {
    ZQ_TRY(HttpEndpoint endpoint, parse_http_endpoint(system, member.endpoint));
    endpoints.push_back(std::move(endpoint));
  }
  return std::make_unique<EtcdAdapter>(system, std::move(members), std::move(endpoints), election,
                                       heartbeat);
}

}  // namespace zq
