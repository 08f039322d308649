// Pacemaker on Corosync, through its own commands on each node. Every node has a whole view, its
// partition's: a node that was cut off elects itself DC, and says that it has no quorum.
#include <set>

#include "controller/systems/command_endpoint.h"
#include "controller/systems/constants.h"
#include "controller/systems/kinds.h"
#include "controller/systems/options.h"
#include "controller/systems/pacemaker_answers.h"
#include "controller/systems/placement.h"

namespace zq {
namespace {

using namespace std::chrono_literals;
using Outcome = zonequake::Observation;
using Unnamed = SeriesBook::Unnamed;

constexpr auto kStateInterval = 1s;
constexpr auto kConfigInterval = 10s;
constexpr auto kUpdateInterval = 5s;
constexpr auto kTimeout = 3s;

class PacemakerAdapter final : public Adapter {
 public:
  PacemakerAdapter(const Cluster& cluster, const SystemSpec& system, std::vector<Place> places,
                   std::vector<CommandEndpoint> endpoints, bool accepts)
      : system_(system.name),
        places_(std::move(places)),
        endpoints_(std::move(endpoints)),
        accepts_(accepts) {
    for (const AppSpec& app : cluster.apps) {
      if (app.system == system_) apps_.push_back(app.name);
    }
  }

  std::vector<NodeProbe> probes() const override {
    std::vector<NodeProbe> probes;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const auto ask = [&](const char* what, const std::vector<std::string>& argv, Nanos interval) {
        probes.push_back(new_probe(places_[i], system_ + "/" + what, interval, kTimeout));
        endpoints_[i].fill(probes.back(), argv);
      };
      ask("state", {"/usr/sbin/crm_mon", "--one-shot", "--output-as=xml"}, kStateInterval);
      ask("totem", {"/usr/sbin/corosync-cmapctl", "runtime.config.totem."}, kConfigInterval);
      if (!accepts_) continue;
      // An element that is there already, as it is: the cluster information base takes it in and
      // stays the same.
      ask("update",
          {"/usr/sbin/cibadmin", "--modify", "--xml-text",
           "<cluster_property_set id=\"cib-bootstrap-options\"/>"},
          kUpdateInterval);
    }
    return probes;
  }

  std::vector<Sample> interpret(const Answer& answer) override {
    const Place* const place = find_place(places_, answer.node);
    if (place == nullptr) return {};
    const Outcome& seen = answer.observation;
    if (answer.probe == system_ + "/state") return state(answer, *place);
    if (answer.probe == system_ + "/update") {
      std::optional<double> accepts;
      if (seen.outcome() == Outcome::TIMED_OUT) accepts = 0;
      if (seen.outcome() == Outcome::ANSWER) accepts = seen.status() == 0 ? 1 : 0;
      return book_.settle(answer, {{node_series("scheduler.accepts", *place, system_), accepts}},
                          Unnamed::kUnknown);
    }
    if (answer.probe == system_ + "/totem" && seen.outcome() == Outcome::ANSWER) {
      if (const auto terms = parse_corosync_totem(seen.body())) terms_ = terms;
    }
    return {};
  }

  std::map<std::string, Timer> timers() const override;
  bool ready() const override { return terms_ && !versions_.empty(); }
  std::string version() const override { return fmt::format("{}", fmt::join(versions_, ", ")); }

  std::optional<NodeId> leader() const override {
    std::map<NodeId, std::size_t> votes;
    for (const auto& [node, dc] : believed_dc_) ++votes[dc];
    for (const auto& [dc, count] : votes) {
      if (2 * count > places_.size()) return dc;
    }
    return std::nullopt;
  }

  std::vector<NodeId> voters() const override {
    std::vector<NodeId> ids;
    for (const Place& place : places_) ids.push_back(place.id);
    return ids;
  }

 private:
  std::vector<Sample> state(const Answer& answer, const Place& place) {
    const Outcome& seen = answer.observation;
    std::optional<PacemakerState> told;
    std::optional<double> serves, leads;
    if (seen.outcome() == Outcome::ANSWER && seen.status() == 0) told = parse_crm_mon(seen.body());
    // crm_mon says so with an exit code when the node's daemons are not there.
    const bool down = seen.outcome() == Outcome::ANSWER && seen.status() != 0;
    if (down) serves = leads = 0;
    if (seen.outcome() == Outcome::TIMED_OUT) serves = 0;
    believed_dc_.erase(place.id);
    SeriesValues values;
    for (const Place& member : places_) {
      values[member_series("member.state", member, place)] =
          told ? std::optional(0.0) : std::nullopt;
    }
    seed_instances(values, place, told.has_value());
    if (told) {
      serves = told->quorum ? 1 : 0;
      leads = 0;
      if (!told->version.empty()) versions_.insert(told->version);
      for (const PacemakerNode& node : told->nodes) {
        const Place* const member = find_name(node.name);
        if (member == nullptr) continue;
        values[member_series("member.state", *member, place)] = node.online ? 1 : 0;
        // Without a quorum it is the DC of a partition, and of no cluster.
        if (!node.leads || !told->quorum) continue;
        believed_dc_[place.id] = member->id;
        if (member == &place) leads = 1;
      }
      add_instances(values, *told, place);
    }
    for (const Place& member : places_) {
      const auto healthy = values.at(member_series("member.state", member, place));
      values[member_series("member.unreachable", member, place)] =
          healthy ? std::optional(1 - *healthy) : std::nullopt;
    }
    for (const char* role : {"master", "scheduler"}) {
      values[node_series(fmt::format("{}.leads", role), place, system_)] = leads;
    }
    values[node_series("master.serves", place, system_)] = serves;
    return book_.settle(answer, values, told ? Unnamed::kGone : Unnamed::kUnknown);
  }

  // What runs where in the eyes of the node's partition, and what of it is on the node itself.
  void add_instances(SeriesValues& values, const PacemakerState& told, const Place& place) const {
    for (const PacemakerResource& resource : told.resources) {
      for (const std::string& app : apps_) {
        if (!is_instance_of(resource.id, app)) continue;
        const auto add = [&](const std::string& zone, const char* source) {
          auto& count = values[instance_series(app, zone, resource.state, source, place)];
          count = count.value_or(0) + 1;
        };
        if (resource.nodes.empty()) add("", "scheduler");
        for (const std::string& name : resource.nodes) {
          const Place* const where = find_name(name);
          add(where == nullptr ? "" : where->zone, "scheduler");
          if (where == &place) add(place.zone, "node");
        }
      }
    }
  }

  void seed_instances(SeriesValues& values, const Place& place, bool known) const {
    const auto value = known ? std::optional(0.0) : std::nullopt;
    for (const std::string& app : apps_) {
      for (const Place& other : places_) {
        values[instance_series(app, other.zone, "running", "scheduler", place)] = value;
      }
      values[instance_series(app, place.zone, "running", "node", place)] = value;
    }
  }

  SeriesId member_series(const char* signal, const Place& member, const Place& seen_by) const {
    SeriesId id = node_series(signal, member, system_);
    id.second["seen_by"] = seen_by.name;
    return id;
  }

  SeriesId instance_series(const std::string& app, const std::string& zone,
                           const std::string& state, const char* source,
                           const Place& seen_by) const {
    return {"app.instances", Labels{{"app", app},
                                    {"zone", zone},
                                    {"state", state},
                                    {"source", source},
                                    {"system", system_},
                                    {"seen_by", seen_by.name}}};
  }

  const Place* find_name(const std::string& name) const {
    const auto found = std::ranges::find(places_, name, &Place::name);
    return found == places_.end() ? nullptr : &*found;
  }

  std::string system_;
  std::vector<Place> places_;
  std::vector<CommandEndpoint> endpoints_;  // of places_
  bool accepts_;
  std::vector<std::string> apps_;

  SeriesBook book_;
  std::set<std::string> versions_;
  std::optional<CorosyncTerms> terms_;
  std::map<NodeId, NodeId> believed_dc_;  // who was asked -> the DC of a partition with quorum
};

std::map<std::string, Adapter::Timer> PacemakerAdapter::timers() const {
  if (!terms_) return {};
  namespace p = pacemaker;
  const double membership = terms_->token + terms_->consensus;
  const std::string formed =
      fmt::format("corosync: token {} + consensus {}", seconds_text(terms_->token),
                  seconds_text(terms_->consensus));
  const std::string seen = fmt::format("{} until seen", seconds_text(kSeen));
  std::map<std::string, Timer> timers{
      {"token", {terms_->token, "runtime.config.totem.token"}},
      {"consensus", {terms_->consensus, "runtime.config.totem.consensus"}},
      {"unreachable_min",
       {terms_->token - p::kTokenRotation,
        fmt::format("corosync: token {} after the token's last round, allowance {}",
                    seconds_text(terms_->token), seconds_text(p::kTokenRotation))}},
      {"unreachable_max", {membership + kSeen, fmt::format("{} + {}", formed, seen)}},
      {"leader_exit_max", {membership + kSeen, fmt::format("{} + {}", formed, seen)}},
      {"election_max",
       {membership + p::kElection + kSeen,
        fmt::format("{} + allowance for the DC's election and the nodes' joining it {} + {}",
                    formed, seconds_text(p::kElection), seen)}},
      {"reschedule_max",
       {p::kElection + p::kTransition + kContainerStart,
        fmt::format("the nodes' joining {} + allowance for a transition {} + for an app's start {}",
                    seconds_text(p::kElection), seconds_text(p::kTransition),
                    seconds_text(kContainerStart))}},
      {"reregister_max",
       {membership + p::kElection + p::kTransition + kContainerStart + kContainerStop + kSeen,
        fmt::format("{} + election and joining {} + allowance for a transition {} + for an app's "
                    "stop {} and start {} + {}",
                    formed, seconds_text(p::kElection), seconds_text(p::kTransition),
                    seconds_text(kContainerStop), seconds_text(kContainerStart), seen)}},
  };
  timers["overlap_max"] = {membership, formed};
  timers["unreachable_new_leader_max"] = timers["unreachable_max"];
  timers["reschedule_new_leader_max"] = timers["reschedule_max"];
  timers["scheduler_exit_max"] = timers["leader_exit_max"];
  timers["scheduler_election_max"] = timers["election_max"];
  return timers;
}

}  // namespace

Result<std::unique_ptr<Adapter>> make_pacemaker_adapter(const Cluster& cluster,
                                                        const SystemSpec& system) {
  ZQ_CHECK(check_options(system, {"accepts"}));
  ZQ_TRY(const bool accepts, option_bool(system, "accepts", true));
  ZQ_TRY(std::vector<Place> places, places_of(cluster, system));
  std::vector<CommandEndpoint> endpoints;
  for (const Place& place : places) {
    ZQ_TRY(CommandEndpoint endpoint, parse_command_endpoint(system, place.endpoint));
    endpoints.push_back(std::move(endpoint));
  }
  return std::make_unique<PacemakerAdapter>(cluster, system, std::move(places),
                                            std::move(endpoints), accepts);
}

}  // namespace zq
