// The adapter for Mesos, over several files: what it asks (mesos_probes.cpp), what answers mean
// (mesos.cpp), and what checks are told (mesos_facts.cpp).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "controller/systems/app_names.h"
#include "controller/systems/member_nodes.h"
#include "controller/systems/mesos_tasks.h"
#include "controller/systems/mesos_terms.h"

namespace zq {

struct MesosOptions {
  bool poll = false, accepts = true;
};

class MesosAdapter final : public Adapter {
 public:
  MesosAdapter(const Cluster& cluster, const SystemSpec& system, std::vector<MesosPlace> nodes,
               MesosTerms terms, MesosOptions options);

  std::vector<NodeProbe> probes() const override;
  std::vector<Sample> interpret(const Answer& answer) override;
  void add_facts(Facts& facts) const override;

  std::map<std::string, Timer> timers() const override;
  bool ready() const override;
  std::string version() const override;
  std::optional<NodeId> leader() const override;
  std::vector<NodeId> voters() const override;

 private:
  struct Belief {
    std::optional<NodeId> leader;       // nothing: one that the cluster file does not have
    std::optional<MesosMaster> itself;  // it says that it leads
  };

  std::vector<Sample> health(const Answer& answer, const Place& place);
  std::vector<Sample> leadership(const Answer& answer, const Place& place);
  std::vector<Sample> agents(const Answer& answer, const Place& place);
  std::vector<Sample> registry(const Answer& answer, const Place& place);
  std::vector<Sample> tasks(const Answer& answer, const Place& place, bool stream);
  std::vector<Sample> accepts(const Answer& answer, const Place& place);
  std::vector<Sample> state(const Answer& answer, const Place& place);
  void learn(const std::string& what, const Answer& answer);
  void believe_redirect(const Answer& answer);

  SeriesId member_series(const std::string& signal, const Place& member,
                         const Place& seen_by) const;
  SeriesId instance_series(const std::string& app, const std::string& zone,
                           const std::string& state, const std::string& source,
                           const Place& seen_by) const;
  void put_agents(SeriesValues& values, const std::string& signal, const Place& seen_by,
                  std::optional<double> value) const;

  std::string system_;
  std::vector<MesosPlace> nodes_;
  std::vector<Place> places_;  // of nodes_
  AppNames apps_;
  MesosTerms terms_;
  MesosOptions options_;
  MemberNodes members_;
  std::set<std::string> app_zones_;
  unsigned agent_count_ = 0;

  SeriesBook book_;
  std::map<NodeId, Belief> beliefs_;  // of masters that know of a leader
  std::map<NodeId, MesosTasks> tasks_;
  std::map<NodeId, bool> log_recovered_;
  std::set<std::string> versions_;
  // As the newest leader that answered told, for facts.
  std::vector<MesosAgent> known_agents_;
  std::vector<MesosFramework> frameworks_;
};

}  // namespace zq
