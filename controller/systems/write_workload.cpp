// Unique values written from every node of a system through its own server, counted there, and
// read back after the heal.
#include <algorithm>
#include <set>

#include "controller/systems/endpoint.h"
#include "controller/systems/json.h"
#include "controller/systems/options.h"
#include "controller/systems/placement.h"
#include "controller/systems/redis_answers.h"
#include "experiments/system_kind.h"

namespace zq {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Unnamed = SeriesBook::Unnamed;

// A write that is not acknowledged by then counts as failed. Long enough for a loaded server, short
// enough for many attempts during a cut.
constexpr auto kTimeout = 2s;

class SystemWorkload final : public WriteWorkload {
 public:
  SystemWorkload(const SystemSpec& system, std::vector<Place> servers, std::string run, Nanos every)
      : system_(system.name),
        kind_(system.kind),
        servers_(std::move(servers)),
        run_(std::move(run)),
        every_(every) {}

  std::vector<NodeProbe> probes(bool read_back) const override {
    std::vector<NodeProbe> probes;
    for (const Place& server : servers_) {
      NodeProbe probe = new_probe(server, system_ + "/write", every_, kTimeout);
      auto& write = *probe.probe.mutable_write();
      write.set_kind(kind_);
      write.set_endpoint(server.endpoint);
      write.set_prefix(fmt::format("/zonequake/{}/{}/", run_, server.name));
      write.set_read_back(read_back);
      probes.push_back(std::move(probe));
    }
    return probes;
  }

  std::vector<Sample> interpret(const Answer& answer) override {
    const Place* const place = find_place(servers_, answer.node);
    if (place == nullptr || answer.probe != system_ + "/write") return {};
    std::optional<double> attempted, acknowledged, lost, read_back;
    if (answer.observation.outcome() == zonequake::Observation::ANSWER) {
      const json root = parse_json(answer.observation.body());
      attempted = json_number(root, {"attempted"});
      acknowledged = json_number(root, {"acknowledged"});
      // Before everything is read back nobody knows.
      if (json_bool(root, {"read_back"}).value_or(false)) lost = json_number(root, {"lost"});
      if (attempted) read_back = lost ? 1 : 0;
      // The keys are removed after that; a run must not end in between.
      if (lost && json_bool(root, {"cleaned"}).value_or(false)) done_.insert(place->id);
    }
    return book_.settle(answer,
                        {{node_series("write.attempted", *place, system_), attempted},
                         {node_series("write.acknowledged", *place, system_), acknowledged},
                         {node_series("write.read_back", *place, system_), read_back},
                         {node_series("write.lost", *place, system_), lost}},
                        Unnamed::kUnknown);
  }

  bool complete() const override { return done_.size() == servers_.size(); }

 private:
  std::string system_, kind_;
  std::vector<Place> servers_;
  std::string run_;
  Nanos every_;
  SeriesBook book_;
  std::set<NodeId> done_;
};

}  // namespace

Result<std::unique_ptr<WriteWorkload>> make_write_workload(const Cluster& cluster,
                                                           const SystemSpec& system,
                                                           const std::string& run, Nanos every) {
  if (!takes_writes(system.kind)) {
    return fail(ErrorCode::kInput,
                "{}: there is no write workload for system '{}' of kind {}; zookeeper, etcd and "
                "redis-sentinel have one",
                system.position.to_string(), system.name, system.kind);
  }
  ZQ_TRY(std::vector<Place> servers, places_of(cluster, system));
  for (Place& server : servers) {
    if (system.kind == "zookeeper") {
      ZQ_CHECK(parse_host_port(system, server.endpoint));
    } else if (system.kind == "redis-sentinel") {
      ZQ_CHECK(parse_host_port(system, server.endpoint));
      server.endpoint += "/" + option_text(system, "master", kRedisMaster);
    } else {
      ZQ_TRY(const HttpEndpoint endpoint, parse_http_endpoint(system, server.endpoint));
      if (!endpoint.unix_socket.empty()) {
        return fail(ErrorCode::kInput, "{}: the write workload reaches '{}' by http:// only",
                    system.position.to_string(), system.name);
      }
      server.endpoint = endpoint.base;
    }
  }
  return std::make_unique<SystemWorkload>(system, std::move(servers), run,
                                          std::max(every, Nanos(1ms)));
}

}  // namespace zq
