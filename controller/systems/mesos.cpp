// Mesos. Masters are asked for what they believe, agents for what really runs on them. Traps that
// this file knows:
// - Masters that do not lead answer most paths with 307, without a scheme, and 503 while they know
//   of no leader; redirects are never followed. /health, /flags, /metrics/snapshot, /version and
//   the registry are their own.
// - A leader that was cut off answers 200 with stale agents and tasks until it exits. It counts as
//   leading: that is the time in which two lead.
// - Unreachable agents vanish from /slaves; only the registry names them, for weeks. The event
//   stream tells neither of them nor of inactive ones, so that members are polled and the stream
//   feeds tasks only.
// - Task states that a master tells are beliefs: an agent's own /state is the truth.
#include <array>

#include "controller/systems/mesos_adapter.h"

namespace zq {
namespace {

using Outcome = zonequake::Observation;
using Unnamed = SeriesBook::Unnamed;

bool is_ok(const zonequake::Observation& seen) {
  return seen.outcome() == Outcome::ANSWER && seen.status() == 200;
}

}  // namespace

SeriesId MesosAdapter::member_series(const std::string& signal, const Place& member,
                                     const Place& seen_by) const {
  SeriesId id = node_series(signal, member, system_);
  id.second["seen_by"] = seen_by.name;
  return id;
}

SeriesId MesosAdapter::instance_series(const std::string& app, const std::string& zone,
                                       const std::string& state, const std::string& source,
                                       const Place& seen_by) const {
  return {"app.instances", Labels{{"app", app},
                                  {"zone", zone},
                                  {"state", state},
                                  {"source", source},
                                  {"system", system_},
                                  {"seen_by", seen_by.name}}};
}

void MesosAdapter::put_agents(SeriesValues& values, const std::string& signal, const Place& seen_by,
                              std::optional<double> value) const {
  for (const Place& place : places_) {
    if (place.has_role("agent")) values[member_series(signal, place, seen_by)] = value;
  }
}

std::vector<Sample> MesosAdapter::interpret(const Answer& answer) {
  const Place* const place = find_place(places_, answer.node);
  if (terms_.learn(answer) || place == nullptr || !answer.probe.starts_with(system_ + "/")) {
    return {};
  }
  const std::string what = answer.probe.substr(system_.size() + 1);
  if (what == "health") return health(answer, *place);
  if (what == "leader") return leadership(answer, *place);
  if (what == "agents") return agents(answer, *place);
  if (what == "registry") return registry(answer, *place);
  if (what == "events") return tasks(answer, *place, true);
  if (what == "tasks") return tasks(answer, *place, false);
  if (what == "accepts") return accepts(answer, *place);
  if (what == "state") return state(answer, *place);
  learn(what, answer);
  return {};
}

std::vector<Sample> MesosAdapter::health(const Answer& answer, const Place& place) {
  std::optional<double> up;
  const auto outcome = answer.observation.outcome();
  if (outcome == Outcome::ANSWER) up = 1;
  if (outcome == Outcome::REFUSED || outcome == Outcome::TIMED_OUT) up = 0;
  return book_.settle(answer, {{node_series("master.up", place, system_), up}}, Unnamed::kUnknown);
}

std::vector<Sample> MesosAdapter::leadership(const Answer& answer, const Place& place) {
  std::optional<double> serves, leads;
  const zonequake::Observation& seen = answer.observation;
  beliefs_.erase(place.id);
  if (seen.outcome() == Outcome::REFUSED) serves = leads = 0;
  if (seen.outcome() == Outcome::TIMED_OUT) serves = 0;
  if (is_ok(seen)) {
    if (const auto master = parse_mesos_master(seen.body())) {
      // An answer in another master's name came through a proxy.
      const Place* named = members_.find(master->host);
      if (named == nullptr) named = members_.find(master->hostname);
      const bool itself = named == nullptr || named->id == place.id;
      serves = 1;
      leads = itself ? 1 : 0;
      beliefs_[place.id] = {itself ? place.id : named->id,
                            itself ? master : std::optional<MesosMaster>()};
    }
  } else if (seen.outcome() == Outcome::ANSWER) {
    if (seen.status() == 307) {
      // It sends clients to the leader that it knows of.
      serves = 1;
      leads = 0;
      believe_redirect(answer);
    }
    if (seen.status() == 503) {
      // "No leader elected"; or it is elected and still reads the registry.
      serves = 0;
      leads = seen.body().find("not finished recovery") == std::string::npos ? 0 : 1;
    }
  }
  return book_.settle(answer,
                      {{node_series("master.serves", place, system_), serves},
                       {node_series("master.leads", place, system_), leads}},
                      Unnamed::kUnknown);
}

void MesosAdapter::believe_redirect(const Answer& answer) {
  const auto& headers = answer.observation.headers();
  const auto location = headers.find("Location");
  Belief& belief = beliefs_[answer.node];
  if (location == headers.end()) return;
  const Place* const named = members_.find(host_of_address(location->second));
  if (named != nullptr) belief.leader = named->id;
}

std::optional<NodeId> MesosAdapter::leader() const {
  std::map<NodeId, std::size_t> votes;
  for (const auto& [master, belief] : beliefs_) {
    if (belief.leader) ++votes[*belief.leader];
  }
  // Nobody has the majority twice, so that only a leader that most follow can win; among leaders
  // with equal claims it would be the one that was elected last.
  const std::size_t masters = voters().size();
  for (const auto& [leader, count] : votes) {
    const auto own = beliefs_.find(leader);
    if (own == beliefs_.end() || !own->second.itself) continue;
    const bool newest = std::ranges::none_of(beliefs_, [&](const auto& entry) {
      return entry.second.itself &&
             entry.second.itself->elected_time > own->second.itself->elected_time;
    });
    if (2 * count > masters && newest) return leader;
  }
  return std::nullopt;
}

std::vector<Sample> MesosAdapter::agents(const Answer& answer, const Place& place) {
  SeriesValues values;
  std::optional<std::vector<MesosAgent>> list;
  if (is_ok(answer.observation)) list = parse_mesos_agents(answer.observation.body());
  // Masters that do not lead redirect, which says nothing.
  put_agents(values, "member.state", place, list ? std::optional<double>(0.0) : std::nullopt);
  if (!list) return book_.settle(answer, values, Unnamed::kUnknown);
  for (const MesosAgent& agent : *list) {
    members_.learn(agent.id, {agent.host, agent.hostname});
    const Place* const member = members_.of(agent.id);
    if (member == nullptr || (!agent.active && !agent.recovered)) continue;
    const auto found = values.find(member_series("member.state", *member, place));
    if (found == values.end() || found->second == 1.0) continue;
    // A new leader cannot tell yet of those that it has not heard of.
    found->second = agent.active ? std::optional<double>(1.0) : std::nullopt;
  }
  std::erase_if(*list, [](const MesosAgent& agent) { return agent.recovered; });
  known_agents_ = std::move(*list);
  return book_.settle(answer, values, Unnamed::kUnknown);
}

std::vector<Sample> MesosAdapter::registry(const Answer& answer, const Place& place) {
  SeriesValues values;
  std::optional<MesosRegistry> registry;
  if (is_ok(answer.observation)) registry = parse_mesos_registry(answer.observation.body());
  put_agents(values, "member.unreachable", place,
             registry ? std::optional<double>(0.0) : std::nullopt);
  if (!registry) return book_.settle(answer, values, Unnamed::kUnknown);
  std::set<const Place*> admitted;
  for (const auto& [id, hostname] : registry->admitted) {
    members_.learn(id, {hostname});
    admitted.insert(members_.of(id));
  }
  for (const auto* const ids : {&registry->unreachable, &registry->gone}) {
    for (const std::string& id : *ids) {
      const Place* const member = members_.of(id);
      // An earlier life of a node that has come back under another id counts no more.
      if (member == nullptr || admitted.contains(member)) continue;
      const auto found = values.find(member_series("member.unreachable", *member, place));
      if (found != values.end()) found->second = 1;
    }
  }
  return book_.settle(answer, values, Unnamed::kUnknown);
}

std::vector<Sample> MesosAdapter::tasks(const Answer& answer, const Place& place, bool stream) {
  const auto app_of = [this](const std::string& id, const std::string& name) {
    return apps_.app_of_task(id, name);
  };
  MesosTasks& known = tasks_.try_emplace(place.id, app_of).first->second;
  if (!is_ok(answer.observation)) {
    known.forget();
  } else if (stream) {
    known.take_event(answer.observation.body());
  } else {
    known.take_state(answer.observation.body());
  }
  SeriesValues values;
  for (const std::string& app : apps_.apps()) {
    for (const std::string& zone : app_zones_) {
      values[instance_series(app, zone, "running", "master", place)] =
          known.known() ? std::optional<double>(0.0) : std::nullopt;
    }
  }
  if (!known.known()) return book_.settle(answer, values, Unnamed::kUnknown);
  for (const MesosAgent& agent : known.take_agents()) {
    members_.learn(agent.id, {agent.host, agent.hostname});
  }
  std::map<std::array<std::string_view, 3>, double> counts;
  for (const auto& [key, task] : known.all()) {
    const Place* const where = members_.of(task.agent);
    ++counts[{task.app, where == nullptr ? std::string_view() : where->zone, task.state}];
  }
  for (const auto& [what, count] : counts) {
    const auto& [app, zone, state] = what;
    values[instance_series(std::string(app), std::string(zone), std::string(state), "master",
                           place)] = count;
  }
  return book_.settle(answer, values, Unnamed::kGone);
}

std::vector<Sample> MesosAdapter::accepts(const Answer& answer, const Place& place) {
  std::optional<double> accepts;
  const zonequake::Observation& seen = answer.observation;
  if (seen.outcome() == Outcome::TIMED_OUT || seen.outcome() == Outcome::REFUSED) accepts = 0;
  if (seen.outcome() == Outcome::ANSWER) {
    if (seen.status() == 200 || seen.status() == 202) accepts = 1;
    // Not the leader, or one that cannot write. Refusals of the request itself say nothing.
    if (seen.status() == 307 || seen.status() >= 500) accepts = 0;
  }
  return book_.settle(answer, {{node_series("master.accepts", place, system_), accepts}},
                      Unnamed::kUnknown);
}

std::vector<Sample> MesosAdapter::state(const Answer& answer, const Place& place) {
  std::optional<MesosAgentState> state;
  if (is_ok(answer.observation)) state = parse_mesos_agent_state(answer.observation.body());
  SeriesValues values;
  for (const std::string& app : apps_.apps()) {
    values[instance_series(app, place.zone, "running", "node", place)] =
        state ? std::optional<double>(0.0) : std::nullopt;
  }
  // An agent that is gone or hangs says nothing about its tasks: they can outlive it.
  if (!state) return book_.settle(answer, values, Unnamed::kUnknown);
  if (!state->id.empty()) members_.learn(state->id, place);
  for (const MesosTask& task : state->tasks) {
    const auto app = apps_.app_of_task(task.id, task.name);
    if (!app) continue;
    auto& count = values[instance_series(*app, place.zone, task.state, "node", place)];
    count = count.value_or(0) + 1;
  }
  return book_.settle(answer, values, Unnamed::kGone);
}

void MesosAdapter::learn(const std::string& what, const Answer& answer) {
  if (!is_ok(answer.observation)) return;
  const std::string& body = answer.observation.body();
  if (what == "version") {
    if (auto version = parse_mesos_version(body)) versions_.insert(std::move(*version));
  }
  if (what == "frameworks") {
    if (auto frameworks = parse_mesos_frameworks(body)) frameworks_ = std::move(*frameworks);
  }
  if (what == "metrics") {
    const auto metrics = parse_mesos_metrics(body);
    if (!metrics) return;
    const auto recovered = metrics->find("registrar/log/recovered");
    if (recovered != metrics->end()) log_recovered_[answer.node] = recovered->second == 1;
  }
}

}  // namespace zq
