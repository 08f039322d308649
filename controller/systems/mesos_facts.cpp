#include "controller/systems/mesos_adapter.h"
#include "controller/systems/mesos_timers.h"

namespace zq {

std::map<std::string, Adapter::Timer> MesosAdapter::timers() const {
  const auto timing = terms_.timing();
  return timing ? mesos_timers(*timing) : std::map<std::string, Timer>{};
}

bool MesosAdapter::ready() const {
  // A master whose replica of the log is still recovering is none that a quorum could count on.
  const auto recovers = [](const auto& entry) { return !entry.second; };
  return terms_.timing().has_value() && !versions_.empty() &&
         std::ranges::none_of(log_recovered_, recovers);
}

std::string MesosAdapter::version() const { return fmt::format("{}", fmt::join(versions_, ", ")); }

std::vector<NodeId> MesosAdapter::voters() const {
  std::vector<NodeId> ids;
  for (const Place& place : places_) {
    if (place.has_role("master")) ids.push_back(place.id);
  }
  return ids;
}

void MesosAdapter::add_facts(Facts& facts) const {
  for (const MesosAgent& agent : known_agents_) {
    MemberFacts member;
    member.system = system_;
    member.id = agent.id;
    if (const Place* const place = members_.of(agent.id)) member.node = place->id;
    member.hostname = agent.hostname;
    member.attributes = agent.attributes;
    member.zone = agent.domain.zone;
    member.region = agent.domain.region;
    member.active = agent.active;
    member.total = agent.total;
    member.unused = agent.unused;
    facts.members.push_back(std::move(member));
  }
  if (known_agents_.empty()) {
    facts.missing.push_back(fmt::format("{}: no leader told of its agents", system_));
  }
  for (const auto& [node, flags] : terms_.master_flags()) {
    VoterFacts voter;
    voter.system = system_;
    voter.node = node;
    const MesosDomain domain = flags.domain();
    voter.zone = domain.zone;
    voter.region = domain.region;
    if (const auto quorum = flags.number({"quorum"})) {
      voter.quorum = static_cast<unsigned>(*quorum);
    }
    facts.voters.push_back(std::move(voter));
  }
  for (const MesosFramework& framework : frameworks_) {
    SchedulerFacts scheduler;
    scheduler.system = system_;
    scheduler.name = framework.name;
    scheduler.where = framework.hostname.empty() ? framework.host : framework.hostname;
    const Place* place = members_.find(framework.hostname);
    if (place == nullptr) place = members_.find(framework.host);
    if (place != nullptr) scheduler.node = place->id;
    scheduler.leads = framework.active;
    scheduler.checkpoint = framework.checkpoint;
    scheduler.partition_aware = framework.capabilities.contains("PARTITION_AWARE");
    scheduler.region_aware = framework.capabilities.contains("REGION_AWARE");
    scheduler.failover_timeout_s = framework.failover_timeout;
    facts.schedulers.push_back(std::move(scheduler));
  }
  for (const auto& [name, timer] : timers()) facts.timers[{system_, name}] = timer.seconds;
}

}  // namespace zq
