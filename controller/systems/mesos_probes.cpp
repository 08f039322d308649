#include "controller/systems/kinds.h"
#include "controller/systems/mesos_adapter.h"
#include "controller/systems/mesos_timers.h"
#include "controller/systems/options.h"

namespace zq {
namespace {

using namespace std::chrono_literals;

constexpr auto kLeaderInterval = 250ms;  // two leaders overlap for a few seconds
constexpr auto kHealthInterval = 500ms;
constexpr auto kStateInterval = 1s;
constexpr auto kMetricsInterval = 2s;  // a master takes two of these requests in a second
constexpr auto kWriteInterval = 3s;    // each one is a write of the replicated log
constexpr auto kFactsInterval = 15s;
constexpr auto kTimeout = 2s;
constexpr auto kWriteTimeout = 5s;
constexpr auto kStreamSilence = 45s;  // three heartbeats
// A master's lists grow with the cluster: past 500 agents it is asked less often.
constexpr auto kPerAgent = 2ms;

constexpr const char* kGetMaster = R"({"type":"GET_MASTER"})";
constexpr const char* kGetFrameworks = R"({"type":"GET_FRAMEWORKS"})";
constexpr const char* kSubscribe = R"({"type":"SUBSCRIBE"})";
// Changes no weight, rescinds no offer, and yet the registrar stores its registry anew.
constexpr const char* kNoWeights =
    R"({"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[]}})";

}  // namespace

MesosAdapter::MesosAdapter(const Cluster& cluster, const SystemSpec& system,
                           std::vector<MesosPlace> nodes, MesosTerms terms, MesosOptions options)
    : system_(system.name),
      nodes_(std::move(nodes)),
      places_(node_places(cluster, system)),
      apps_(AppNames::of_all_schedulers(cluster)),
      terms_(std::move(terms)),
      options_(options),
      members_(places_) {
  for (const Place& place : places_) {
    if (!place.has_role("agent")) continue;
    ++agent_count_;
    app_zones_.insert(place.zone);
  }
}

std::vector<NodeProbe> MesosAdapter::probes() const {
  std::vector<NodeProbe> probes = terms_.probes();
  const Nanos lists = std::max<Nanos>(kStateInterval, agent_count_ * kPerAgent);
  for (const MesosPlace& node : nodes_) {
    const auto add = [&](const char* what, const HttpEndpoint& endpoint, const char* path,
                         Nanos interval) -> zonequake::HttpProbe& {
      probes.push_back(new_probe(node.place, system_ + "/" + what, interval, kTimeout));
      zonequake::HttpProbe& http = *probes.back().probe.mutable_http();
      http.set_url(endpoint.base + path);
      http.set_unix_socket(endpoint.unix_socket);
      return http;
    };
    const auto call = [&](zonequake::HttpProbe& http, const char* body) {
      http.set_method("POST");
      http.set_body(body);
      (*http.mutable_headers())["Content-Type"] = "application/json";
      (*http.mutable_headers())["Accept"] = "application/json";
    };
    if (node.place.has_role("master")) {
      add("health", node.master, "/health", kHealthInterval);
      zonequake::HttpProbe& leader = add("leader", node.master, "/api/v1", kLeaderInterval);
      call(leader, kGetMaster);
      leader.add_want_headers("Location");
      add("agents", node.master, "/slaves", lists);
      add("registry", node.master, "/registrar(1)/registry", lists);
      add("metrics", node.master, "/metrics/snapshot?timeout=2secs", kMetricsInterval);
      add("version", node.master, "/version", kFactsInterval);
      call(add("frameworks", node.master, "/api/v1", kFactsInterval), kGetFrameworks);
      if (options_.accepts) {
        call(add("accepts", node.master, "/api/v1", kWriteInterval), kNoWeights);
        probes.back().probe.set_timeout_ms(
            static_cast<std::uint32_t>(std::chrono::milliseconds(kWriteTimeout).count()));
      }
      if (options_.poll) {
        add("tasks", node.master, "/state", 2 * lists);
      } else {
        NodeProbe probe = new_probe(node.place, system_ + "/events", kStateInterval, kTimeout);
        zonequake::StreamProbe& stream = *probe.probe.mutable_stream();
        stream.mutable_request()->set_url(node.master.base + "/api/v1");
        stream.mutable_request()->set_unix_socket(node.master.unix_socket);
        call(*stream.mutable_request(), kSubscribe);
        stream.set_framing(zonequake::StreamProbe::RECORD_IO);
        stream.set_silence_ms(
            static_cast<std::uint32_t>(std::chrono::milliseconds(kStreamSilence).count()));
        probes.push_back(std::move(probe));
      }
    }
    if (node.place.has_role("agent")) add("state", node.agent, "/state", kStateInterval);
  }
  return probes;
}

Result<std::unique_ptr<Adapter>> make_mesos_adapter(const Cluster& cluster,
                                                    const SystemSpec& system) {
  std::vector<std::string> known = ZooKeeperTerms::options();
  known.insert(known.end(), {"agent_endpoint", "poll", "accepts"});
  ZQ_CHECK(check_options(system, known));
  MesosOptions options;
  ZQ_TRY(options.poll, option_bool(system, "poll", false));
  ZQ_TRY(options.accepts, option_bool(system, "accepts", true));
  ZQ_TRY(std::vector<MesosPlace> nodes, mesos_places(cluster, system));
  const bool masters = std::ranges::any_of(
      nodes, [](const MesosPlace& node) { return node.place.has_role("master"); });
  if (!masters) {
    return fail(ErrorCode::kInput,
                "{}: no node of the Mesos cluster '{}' has the role master; give it to the nodes "
                "that run mesos-master",
                system.position.to_string(), system.name);
  }
  ZQ_TRY(MesosTerms terms, MesosTerms::make(cluster, system));
  return std::make_unique<MesosAdapter>(cluster, system, std::move(nodes), std::move(terms),
                                        options);
}

}  // namespace zq
