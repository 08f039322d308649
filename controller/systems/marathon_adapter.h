// The adapter for Marathon: what it asks and what checks are told (marathon_probes.cpp), and what
// answers mean (marathon.cpp).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/systems/app_names.h"
#include "controller/systems/endpoint.h"
#include "controller/systems/marathon_answers.h"
#include "controller/systems/marathon_timers.h"
#include "controller/systems/member_nodes.h"
#include "controller/systems/tcp_terms.h"

namespace zq {

// What its bounds need besides its own answers.
struct MarathonGround {
  ZooKeeperTerms zookeeper;
  TcpTerms tcp;                                // of the nodes below
  double agent_ping = 0, elected_prepare = 0;  // seconds, as options say
  std::vector<Place> places;                   // of schedulers and of agents: where tasks can be
};

class MarathonAdapter final : public Adapter {
 public:
  MarathonAdapter(const Cluster& cluster, const SystemSpec& system, std::vector<Place> places,
                  std::vector<HttpEndpoint> endpoints, MarathonGround ground, bool accepts);

  std::vector<NodeProbe> probes() const override;
  std::vector<Sample> interpret(const Answer& answer) override;
  std::map<std::string, Timer> timers() const override;
  bool ready() const override;
  std::string version() const override;
  std::optional<NodeId> leader() const override;
  std::vector<NodeId> voters() const override { return {}; }  // the coordinator's, not its own
  void add_facts(Facts& facts) const override;

 private:
  struct Inactive {
    bool known = false;                                                    // the stream is open
    std::map<std::string, std::pair<std::string, std::string>> instances;  // id -> app, zone
  };

  std::vector<Sample> tcp(const Answer& answer, const Place& place);
  std::vector<Sample> leadership(const Answer& answer, const Place& place);
  std::vector<Sample> app(const Answer& answer, const Place& place, const std::string& name);
  std::vector<Sample> queue(const Answer& answer, const Place& place);
  std::vector<Sample> events(const Answer& answer, const Place& place);
  std::vector<Sample> accepts(const Answer& answer, const Place& place);
  void learn(const std::string& what, const zonequake::Observation& seen);
  void add_apps(Facts& facts) const;

  SeriesId instance_series(const std::string& app, const std::string& zone,
                           const std::string& state, const Place& seen_by) const;
  std::string zone_of(const std::string& host) const;

  std::string system_;
  std::vector<Place> places_;
  std::vector<HttpEndpoint> endpoints_;  // of places_
  MarathonGround ground_;
  bool accepts_;
  AppNames apps_;
  MemberNodes schedulers_, hosts_;
  std::set<std::string> app_zones_;

  SeriesBook book_;
  std::map<NodeId, NodeId> believed_leader_;  // scheduler -> whom it believes to lead
  std::map<NodeId, Inactive> inactive_;
  std::map<std::string, std::optional<MarathonApp>> watched_;  // nothing: there is no such app
  std::set<std::string> deploying_;                            // paths of apps
  std::optional<std::vector<MarathonApp>> all_;
  std::optional<MarathonInfo> info_;
  std::set<std::string> versions_;
};

}  // namespace zq
