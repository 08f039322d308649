// Marathon. Traps that this file knows:
// - A standby passes every request on to the leader and hands back its answer, with a header that
//   says so: such answers say nothing of the instance that was asked. Whether it lives, TCP tells.
// - Both conditions, unreachable and unreachable-inactive, read TASK_UNREACHABLE in every list;
// only
//   events tell them apart.
// - Strategies are stored with each app. Marathon's defaults changed between versions and are not
//   those of apps that are older.
#include "controller/systems/marathon_adapter.h"
#include "controller/systems/mesos_answers.h"

namespace zq {
namespace {

using Outcome = zonequake::Observation;
using Unnamed = SeriesBook::Unnamed;

bool is_proxied(const zonequake::Observation& seen) {
  return seen.headers().contains("X-Marathon-Via");
}

// An answer of the instance itself.
bool is_ok(const zonequake::Observation& seen) {
  return seen.outcome() == Outcome::ANSWER && seen.status() == 200 && !is_proxied(seen);
}

}  // namespace

SeriesId MarathonAdapter::instance_series(const std::string& app, const std::string& zone,
                                          const std::string& state, const Place& seen_by) const {
  return {"app.instances", Labels{{"app", app},
                                  {"zone", zone},
                                  {"state", state},
                                  {"source", "scheduler"},
                                  {"system", system_},
                                  {"seen_by", seen_by.name}}};
}

std::string MarathonAdapter::zone_of(const std::string& host) const {
  const Place* const place = hosts_.find(host);
  return place == nullptr ? "" : place->zone;
}

std::vector<Sample> MarathonAdapter::interpret(const Answer& answer) {
  if (ground_.zookeeper.learn(answer) || ground_.tcp.learn(answer)) return {};
  const Place* const place = find_place(places_, answer.node);
  if (place == nullptr || !answer.probe.starts_with(system_ + "/")) return {};
  const std::string what = answer.probe.substr(system_.size() + 1);
  if (what == "port") return tcp(answer, *place);
  if (what == "leader") return leadership(answer, *place);
  if (what == "queue") return queue(answer, *place);
  if (what == "events") return events(answer, *place);
  if (what == "accepts") return accepts(answer, *place);
  if (what.starts_with("app/")) return app(answer, *place, what.substr(4));
  if (answer.observation.outcome() == Outcome::ANSWER && answer.observation.status() == 200) {
    learn(what, answer.observation);
  }
  return {};
}

std::vector<Sample> MarathonAdapter::tcp(const Answer& answer, const Place& place) {
  std::optional<double> up;
  const auto outcome = answer.observation.outcome();
  if (outcome == Outcome::ANSWER) up = 1;
  if (outcome == Outcome::REFUSED || outcome == Outcome::TIMED_OUT) up = 0;
  return book_.settle(answer, {{node_series("scheduler.up", place, system_), up}},
                      Unnamed::kUnknown);
}

std::vector<Sample> MarathonAdapter::leadership(const Answer& answer, const Place& place) {
  std::optional<double> leads;
  const zonequake::Observation& seen = answer.observation;
  believed_leader_.erase(place.id);
  // A standby that waits for a leader that was cut off takes its time: silence says nothing.
  if (seen.outcome() == Outcome::REFUSED) leads = 0;
  if (seen.outcome() == Outcome::ANSWER) {
    // 404: it knows of no leader. 502, 503: it could not ask one.
    if (seen.status() == 404 || seen.status() >= 500) leads = 0;
    const auto leader = seen.status() == 200 ? parse_marathon_leader(seen.body()) : std::nullopt;
    if (leader) {
      const Place* const named = schedulers_.find(host_of_address(*leader));
      const bool itself = named == nullptr || named->id == place.id;
      leads = itself && !is_proxied(seen) ? 1 : 0;
      if (named != nullptr) believed_leader_[place.id] = named->id;
    }
  }
  return book_.settle(answer, {{node_series("scheduler.leads", place, system_), leads}},
                      Unnamed::kUnknown);
}

std::optional<NodeId> MarathonAdapter::leader() const {
  std::map<NodeId, std::size_t> votes;
  for (const auto& [scheduler, leader] : believed_leader_) ++votes[leader];
  for (const auto& [leader, count] : votes) {
    if (2 * count > places_.size()) return leader;
  }
  return std::nullopt;
}

std::vector<Sample> MarathonAdapter::app(const Answer& answer, const Place& place,
                                         const std::string& name) {
  const zonequake::Observation& seen = answer.observation;
  std::optional<MarathonApp> app;
  if (is_ok(seen)) app = parse_marathon_app(seen.body());
  const bool absent =
      seen.outcome() == Outcome::ANSWER && seen.status() == 404 && !is_proxied(seen);
  if (absent) watched_[name] = std::nullopt;
  if (app) watched_[name] = app;
  SeriesValues values;
  for (const std::string& zone : app_zones_) {
    values[instance_series(name, zone, "running", place)] =
        app || absent ? std::optional<double>(0.0) : std::nullopt;
  }
  if (!app && !absent) return book_.settle(answer, values, Unnamed::kUnknown);
  if (app) {
    for (const MarathonTask& task : app->tasks) {
      auto& count = values[instance_series(name, zone_of(task.host), task.state, place)];
      count = count.value_or(0) + 1;
    }
  }
  return book_.settle(answer, values, Unnamed::kGone);
}

std::vector<Sample> MarathonAdapter::queue(const Answer& answer, const Place& place) {
  std::optional<std::map<std::string, double>> waiting;
  if (is_ok(answer.observation)) waiting = parse_marathon_queue(answer.observation.body());
  SeriesValues values;
  for (std::size_t i = 0; i < apps_.apps().size(); ++i) {
    const SeriesId id{
        "app.waiting",
        Labels{{"app", apps_.apps()[i]}, {"system", system_}, {"seen_by", place.name}}};
    if (!waiting) {
      values[id] = std::nullopt;
      continue;
    }
    const auto found = waiting->find(apps_.paths()[i]);
    values[id] = found == waiting->end() ? 0 : found->second;
  }
  return book_.settle(answer, values, Unnamed::kUnknown);
}

// Instances that were found inactive since the stream was first open: events are no snapshot.
std::vector<Sample> MarathonAdapter::events(const Answer& answer, const Place& place) {
  const zonequake::Observation& seen = answer.observation;
  Inactive& inactive = inactive_[place.id];
  const auto event = is_ok(seen) ? parse_marathon_event(seen.body()) : std::nullopt;
  inactive.known = event.has_value();
  if (event && event->type == "instance_changed_event") {
    inactive.instances.erase(event->instance);
    const auto app = apps_.app_of_path(event->app);
    if (app && event->condition == "UnreachableInactive") {
      inactive.instances[event->instance] = {*app, zone_of(event->host)};
    }
  }
  SeriesValues values;
  const auto unless_unknown = [&](double value) {
    return inactive.known ? std::optional<double>(value) : std::nullopt;
  };
  for (const std::string& app : apps_.apps()) {
    for (const std::string& zone : app_zones_) {
      values[instance_series(app, zone, "unreachable_inactive", place)] = unless_unknown(0);
    }
  }
  if (!inactive.known) return book_.settle(answer, values, Unnamed::kUnknown);
  for (const auto& [id, where] : inactive.instances) {
    auto& count = values[instance_series(where.first, where.second, "unreachable_inactive", place)];
    count = count.value_or(0) + 1;
  }
  return book_.settle(answer, values, Unnamed::kGone);
}

// What a standby hands on counts too: who asks there is served.
std::vector<Sample> MarathonAdapter::accepts(const Answer& answer, const Place& place) {
  std::optional<double> accepts;
  const zonequake::Observation& seen = answer.observation;
  if (seen.outcome() == Outcome::REFUSED || seen.outcome() == Outcome::TIMED_OUT) accepts = 0;
  if (seen.outcome() == Outcome::ANSWER) {
    if (seen.status() == 200 || seen.status() == 201) accepts = 1;
    // 409: a deployment holds the app. That, and refusals of the request itself, say nothing.
    if (seen.status() >= 500) accepts = 0;
  }
  return book_.settle(answer, {{node_series("scheduler.accepts", place, system_), accepts}},
                      Unnamed::kUnknown);
}

// Configuration is the leader's whoever hands it on.
void MarathonAdapter::learn(const std::string& what, const zonequake::Observation& seen) {
  if (what == "info") {
    if (auto info = parse_marathon_info(seen.body())) {
      versions_.insert(info->version);
      info_ = std::move(info);
    }
  }
  if (what == "deployments") {
    if (auto paths = parse_marathon_deployments(seen.body())) deploying_ = std::move(*paths);
  }
  if (what == "apps") {
    if (auto apps = parse_marathon_apps(seen.body())) all_ = std::move(apps);
  }
}

}  // namespace zq
