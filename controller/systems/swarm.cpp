// Docker Swarm. Managers are asked for what they believe (/nodes, /tasks), workers for what really
// runs on them (/containers/json). Traps that this file knows:
// - `.Swarm.ControlAvailable` of /info stays true without a quorum, so nothing here reads it: a
//   manager serves while it answers /nodes with 200. After the loss of quorum that call first
//   hangs, which is an observation too, and later fails with 500.
// - An isolated leader lists itself as leader, with stale nodes, until it counts its quorum. Its
//   reads work all that time while no update commits: scheduler.accepts tells the difference.
// - Every manager's belief is a series of its own (seen_by): they disagree during a cut.
#include <set>

#include "controller/systems/endpoint.h"
#include "controller/systems/kinds.h"
#include "controller/systems/options.h"
#include "controller/systems/placement.h"
#include "controller/systems/swarm_answers.h"
#include "controller/systems/swarm_facts.h"
#include "controller/systems/swarm_timers.h"

namespace zq {
namespace {

using namespace std::chrono_literals;
using Outcome = zonequake::Observation;
using Unnamed = SeriesBook::Unnamed;

constexpr auto kStateInterval = 500ms;
constexpr auto kTaskInterval = 1s;
constexpr auto kUpdateInterval = 3s;  // each one is a raft commit and a process
constexpr auto kConfigInterval = 5s;
constexpr auto kTimeout = 2s;

// {"desired-state":["running"]}, {"label":["com.docker.swarm.service.name"]}
constexpr const char* kTasksPath = "/tasks?filters=%7B%22desired-state%22%3A%5B%22running%22%5D%7D";
constexpr const char* kContainersPath =
    "/containers/json?filters=%7B%22label%22%3A%5B%22com.docker.swarm.service.name%22%5D%7D";

class SwarmAdapter final : public Adapter {
 public:
  SwarmAdapter(const Cluster& cluster, const SystemSpec& system, std::vector<Place> places,
               std::vector<HttpEndpoint> endpoints, std::string client)
      : system_(system.name),
        places_(std::move(places)),
        endpoints_(std::move(endpoints)),
        client_(std::move(client)) {
    for (const AppSpec& app : cluster.apps) {
      if (app.system == system_) apps_.insert(app.name);
    }
    for (const Place& place : places_) {
      if (place.has_role("agent")) app_zones_.insert(place.zone);
      by_name_.emplace(place.name, &place);
      for (const IpAddress& address : place.addresses) by_address_.emplace(address, &place);
    }
  }

  std::vector<NodeProbe> probes() const override {
    std::vector<NodeProbe> probes;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const Place& place = places_[i];
      const auto get = [&](const char* what, const std::string& path, Nanos interval) {
        NodeProbe probe = new_probe(place, system_ + "/" + what, interval, kTimeout);
        probe.probe.mutable_http()->set_url(endpoints_[i].base + path);
        probe.probe.mutable_http()->set_unix_socket(endpoints_[i].unix_socket);
        probes.push_back(std::move(probe));
      };
      if (place.has_role("master")) {
        get("ping", "/_ping", kStateInterval);
        get("nodes", "/nodes", kStateInterval);
        get("tasks", kTasksPath, kTaskInterval);
        get("services", "/services", kConfigInterval);
        get("info", "/info", kConfigInterval);
        if (!client_.empty()) probes.push_back(update_probe(place, endpoints_[i]));
      }
      if (place.has_role("agent")) get("containers", kContainersPath, kTaskInterval);
    }
    return probes;
  }

  std::vector<Sample> interpret(const Answer& answer) override {
    const Place* const place = find_place(places_, answer.node);
    if (place == nullptr || !answer.probe.starts_with(system_ + "/")) return {};
    const std::string what = answer.probe.substr(system_.size() + 1);
    if (what == "ping") return ping(answer, *place);
    if (place->has_role("master")) keep(what, answer);
    if (what == "nodes") return nodes(answer, *place);
    if (what == "tasks") return tasks(answer, *place);
    if (what == "update") return update(answer, *place);
    if (what == "containers") return containers(answer, *place);
    if (what == "services") learn_services(answer.observation);
    if (what == "info") learn_info(answer.observation);
    return {};
  }

  std::map<std::string, Timer> timers() const override {
    std::optional<std::vector<SwarmService>> watched;
    if (services_) {
      watched.emplace();
      for (const SwarmService& service : *services_) {
        if (apps_.contains(service.name)) watched->push_back(service);
      }
    }
    return swarm_timers(spec_, watched);
  }

  bool ready() const override { return spec_ && services_ && !versions_.empty(); }

  std::string version() const override { return fmt::format("{}", fmt::join(versions_, ", ")); }

  std::optional<NodeId> leader() const override {
    std::map<NodeId, std::size_t> votes;
    for (const auto& [manager, leader] : believed_leader_) ++votes[leader];
    const std::size_t managers = voters().size();
    for (const auto& [leader, count] : votes) {
      if (2 * count > managers) return leader;
    }
    return std::nullopt;
  }

  std::vector<NodeId> voters() const override {
    std::vector<NodeId> ids;
    for (const Place& place : places_) {
      if (place.has_role("master")) ids.push_back(place.id);
    }
    return ids;
  }

  void add_facts(Facts& facts) const override {
    // The leader's belief, or else any manager's.
    const auto led = bodies_.find(leader().value_or(NodeId(-1)));
    const SwarmBodies& bodies = led != bodies_.end() ? led->second
                                : bodies_.empty()    ? SwarmBodies{}
                                                     : bodies_.begin()->second;
    add_swarm_facts(
        system_, bodies,
        [this](const std::string& hostname, const std::vector<IpAddress>& addresses) {
          const Place* const place = find_member(hostname, addresses);
          return place == nullptr ? std::nullopt : std::optional(place->id);
        },
        facts);
    for (const auto& [name, timer] : timers()) facts.timers[{system_, name}] = timer.seconds;
  }

 private:
  void keep(const std::string& what, const Answer& answer) {
    const zonequake::Observation& seen = answer.observation;
    if (seen.outcome() != Outcome::ANSWER || seen.status() != 200) return;
    SwarmBodies& bodies = bodies_[answer.node];
    if (what == "nodes") bodies.nodes = seen.body();
    if (what == "services") bodies.services = seen.body();
    if (what == "tasks") bodies.tasks = seen.body();
  }

  // An update of the manager's own node that changes nothing: swarmkit commits it through raft all
  // the same, so it succeeds only where app updates would. Each manager updates itself, so that
  // they never collide.
  NodeProbe update_probe(const Place& place, const HttpEndpoint& endpoint) const {
    NodeProbe probe = new_probe(place, system_ + "/update", kUpdateInterval, kTimeout);
    auto& argv = *probe.probe.mutable_exec()->mutable_argv();
    const std::string host = endpoint.unix_socket.empty()
                                 ? "tcp://" + endpoint.base.substr(sizeof("http://") - 1)
                                 : "unix://" + endpoint.unix_socket;
    for (const std::string& word : {client_, std::string("-H"), host, std::string("node"),
                                    std::string("update"), place.name}) {
      argv.Add(std::string(word));
    }
    return probe;
  }

  std::vector<Sample> ping(const Answer& answer, const Place& place) {
    std::optional<double> up;
    const auto outcome = answer.observation.outcome();
    if (outcome == Outcome::ANSWER) up = 1;
    if (outcome == Outcome::REFUSED || outcome == Outcome::TIMED_OUT) up = 0;
    return book_.settle(answer, {{node_series("master.up", place, system_), up}},
                        Unnamed::kUnknown);
  }

  std::vector<Sample> nodes(const Answer& answer, const Place& place) {
    std::optional<double> serves, leads;
    std::optional<std::vector<SwarmMember>> members;
    switch (answer.observation.outcome()) {
      case Outcome::ANSWER:
        if (answer.observation.status() == 200) {
          members = parse_swarm_nodes(answer.observation.body());
          if (members) serves = 1;
        } else {
          serves = leads = 0;
        }
        break;
      case Outcome::REFUSED:
        serves = leads = 0;
        break;
      case Outcome::TIMED_OUT:
        serves = 0;
        break;
      default:
        break;
    }
    believed_leader_.erase(place.id);
    SeriesValues values;
    if (members) {
      leads = believe(*members, place);
      // A node that the manager does not list is no member.
      for (const Place& other : places_) values[member_series(other, place)] = 0;
      for (const SwarmMember& member : *members) add_member(values, member, place);
    } else {
      for (const Place& other : places_) values[member_series(other, place)] = std::nullopt;
    }
    // A manager knows no state between healthy and given up.
    for (const Place& other : places_) {
      const auto state = values.at(member_series(other, place));
      values[member_series(other, place, "member.unreachable")] =
          state ? std::optional(1 - *state) : std::nullopt;
    }
    values[node_series("master.serves", place, system_)] = serves;
    values[node_series("master.leads", place, system_)] = leads;
    values[node_series("scheduler.leads", place, system_)] = leads;
    return book_.settle(answer, values, Unnamed::kUnknown);
  }

  // Takes in who is who and who leads; whether `manager` itself does (unknown if it lists itself
  // nowhere).
  std::optional<double> believe(const std::vector<SwarmMember>& members, const Place& manager) {
    std::optional<double> leads;
    for (const SwarmMember& member : members) {
      const Place* const place = place_of(member);
      node_ids_[member.id] = place;
      if (place == nullptr) continue;
      if (place->id == manager.id) leads = std::max(leads.value_or(0), member.leader ? 1.0 : 0.0);
      if (member.leader) believed_leader_[manager.id] = place->id;
    }
    return leads;
  }

  // A node that left and joined again is listed twice: the healthy entry counts, then the one
  // that cannot be told.
  void add_member(SeriesValues& values, const SwarmMember& member, const Place& manager) const {
    const Place* const place = place_of(member);
    if (place == nullptr) return;
    std::optional<double>& value = values[member_series(*place, manager)];
    if (value == 1.0 || member.healthy == false) return;
    value = member.healthy ? std::optional<double>(1.0) : std::nullopt;
  }

  SeriesId member_series(const Place& place, const Place& seen_by,
                         const char* signal = "member.state") const {
    SeriesId id = node_series(signal, place, system_);
    id.second["seen_by"] = seen_by.name;
    return id;
  }

  // By host name, or else by address: host names need not be the cluster file's.
  const Place* place_of(const SwarmMember& member) const {
    return find_member(member.hostname, member.addresses);
  }

  const Place* find_member(const std::string& hostname,
                           const std::vector<IpAddress>& addresses) const {
    const auto named = by_name_.find(hostname);
    if (named != by_name_.end()) return named->second;
    for (const IpAddress& address : addresses) {
      const auto found = by_address_.find(address);
      if (found != by_address_.end()) return found->second;
    }
    return nullptr;
  }

  SeriesId instance_series(const std::string& app, const std::string& zone,
                           const std::string& state, const std::string& source,
                           const Place& seen_by) const {
    return {"app.instances", Labels{{"app", app},
                                    {"zone", zone},
                                    {"state", state},
                                    {"source", source},
                                    {"system", system_},
                                    {"seen_by", seen_by.name}}};
  }

  SeriesId waiting_series(const std::string& app, const Place& seen_by) const {
    return {"app.waiting", Labels{{"app", app}, {"system", system_}, {"seen_by", seen_by.name}}};
  }

  std::vector<Sample> tasks(const Answer& answer, const Place& place) {
    SeriesValues values;
    const auto seed = [&](std::optional<double> value) {
      for (const std::string& app : apps_) {
        for (const std::string& zone : app_zones_) {
          values[instance_series(app, zone, "running", "scheduler", place)] = value;
        }
        values[waiting_series(app, place)] = value;
      }
    };
    const auto counts = count_tasks(answer.observation);
    seed(counts ? std::optional<double>(0.0) : std::nullopt);
    if (!counts) return book_.settle(answer, values, Unnamed::kUnknown);
    for (const auto& [key, count] : *counts) {
      const auto& [app, zone, state] = key;
      values[instance_series(app, zone, state, "scheduler", place)] = count;
      // Pending, and without a node: the scheduler has found none.
      if (zone.empty() && state == "pending") values[waiting_series(app, place)] = count;
    }
    return book_.settle(answer, values, Unnamed::kGone);
  }

  using Counts = std::map<std::tuple<std::string, std::string, std::string>, double>;

  // By app, zone and state. Nothing when the answer, or what a task refers to, cannot be told: a
  // service or node that is newer than our last look at the lists.
  std::optional<Counts> count_tasks(const zonequake::Observation& observation) const {
    if (observation.outcome() != Outcome::ANSWER || observation.status() != 200 || !services_) {
      return std::nullopt;
    }
    const auto tasks = parse_swarm_tasks(observation.body());
    if (!tasks) return std::nullopt;
    Counts counts;
    for (const SwarmTask& task : *tasks) {
      const auto service = std::ranges::find(*services_, task.service_id, &SwarmService::id);
      if (service == services_->end()) return std::nullopt;
      if (!apps_.contains(service->name)) continue;
      std::string zone;
      if (!task.node_id.empty()) {
        const auto node = node_ids_.find(task.node_id);
        if (node == node_ids_.end()) return std::nullopt;
        if (node->second != nullptr) zone = node->second->zone;
      }
      ++counts[{service->name, zone, task.state}];
    }
    return counts;
  }

  std::vector<Sample> update(const Answer& answer, const Place& place) {
    std::optional<double> accepts;
    const zonequake::Observation& seen = answer.observation;
    if (seen.outcome() == Outcome::TIMED_OUT) accepts = 0;
    if (seen.outcome() == Outcome::ANSWER) {
      // "Out of sequence": the node's record changed between the client's read and its write. "Not
      // found": the node's host name is not its name in the cluster file. The leader answered, but
      // neither says anything about commits.
      const bool says_nothing =
          std::ranges::any_of(std::array{"out of sequence", "not found"}, [&](const char* text) {
            return seen.body().find(text) != std::string::npos ||
                   seen.error().find(text) != std::string::npos;
          });
      if (seen.status() == 0) {
        accepts = 1;
      } else if (!says_nothing) {
        accepts = 0;
      }
    }
    return book_.settle(answer, {{node_series("scheduler.accepts", place, system_), accepts}},
                        Unnamed::kUnknown);
  }

  std::vector<Sample> containers(const Answer& answer, const Place& place) {
    const zonequake::Observation& seen = answer.observation;
    std::optional<std::vector<SwarmContainer>> list;
    if (seen.outcome() == Outcome::ANSWER && seen.status() == 200) {
      list = parse_swarm_containers(seen.body());
    }
    SeriesValues values;
    for (const std::string& app : apps_) {
      values[instance_series(app, place.zone, "running", "node", place)] =
          list ? std::optional<double>(0.0) : std::nullopt;
    }
    // A daemon that is gone or hangs says nothing about its containers: they can outlive it.
    if (!list) return book_.settle(answer, values, Unnamed::kUnknown);
    for (const SwarmContainer& container : *list) {
      if (!apps_.contains(container.service)) continue;
      auto& count =
          values[instance_series(container.service, place.zone, container.state, "node", place)];
      count = count.value_or(0) + 1;
    }
    return book_.settle(answer, values, Unnamed::kGone);
  }

  void learn_services(const zonequake::Observation& observation) {
    if (observation.outcome() != Outcome::ANSWER || observation.status() != 200) return;
    auto services = parse_swarm_services(observation.body());
    if (services) services_ = std::move(services);
  }

  void learn_info(const zonequake::Observation& observation) {
    if (observation.outcome() != Outcome::ANSWER || observation.status() != 200) return;
    const auto info = parse_swarm_info(observation.body());
    if (!info) return;
    versions_.insert(info->version);
    if (info->spec) spec_ = info->spec;
  }

  std::string system_;
  std::vector<Place> places_;
  std::map<std::string, const Place*> by_name_;
  std::map<IpAddress, const Place*> by_address_;
  std::vector<HttpEndpoint> endpoints_;  // of places_
  std::string client_;                   // empty: none
  std::set<std::string> apps_, app_zones_;

  SeriesBook book_;
  std::map<std::string, const Place*> node_ids_;  // swarm's ids; null: not in the cluster file
  std::map<NodeId, NodeId> believed_leader_;      // manager -> whom it believes to lead
  std::map<NodeId, SwarmBodies> bodies_;          // of managers, the newest good ones
  std::optional<std::vector<SwarmService>> services_;
  std::optional<SwarmInfo::Spec> spec_;
  std::set<std::string> versions_;
};

}  // namespace

Result<std::unique_ptr<Adapter>> make_swarm_adapter(const Cluster& cluster,
                                                    const SystemSpec& system) {
  ZQ_CHECK(check_options(system, {"docker"}));
  ZQ_TRY(std::vector<Place> places, places_of(cluster, system));
  std::vector<HttpEndpoint> endpoints;
  bool managers = false;
  for (const Place& place : places) {
    ZQ_TRY(HttpEndpoint endpoint, parse_http_endpoint(system, place.endpoint));
    endpoints.push_back(std::move(endpoint));
    managers = managers || place.has_role("master");
  }
  if (!managers) {
    return fail(ErrorCode::kInput,
                "{}: no node of the swarm '{}' has the role master; give it to its managers",
                system.position.to_string(), system.name);
  }
  std::string client = option_text(system, "docker", "/usr/bin/docker");
  if (client == "none") client.clear();
  if (!client.empty() && std::ranges::any_of(endpoints, [](const HttpEndpoint& endpoint) {
        return endpoint.base.starts_with("https:");
      })) {
    return fail(ErrorCode::kInput,
                "{}: the client of the swarm '{}' cannot be given certificates for the endpoint "
                "'{}'; set its option docker = \"none\", which leaves scheduler.accepts out",
                system.position.to_string(), system.name, system.endpoint);
  }
  return std::make_unique<SwarmAdapter>(cluster, system, std::move(places), std::move(endpoints),
                                        std::move(client));
}

}  // namespace zq
