#include "controller/systems/bulk_workload.h"

#include "controller/systems/json.h"

namespace zq {
namespace {

constexpr std::uint32_t kIntervalMs = 1000;  // agents report so often

std::string probe_id(const Cluster& cluster, const BulkFlow& flow) {
  return "bulk/" + cluster.nodes[flow.to].name;
}

std::string mapped(const IpAddress& address) {
  return {address.bytes().begin(), address.bytes().end()};
}

}  // namespace

BulkTraffic::BulkTraffic(const Cluster& cluster, std::vector<BulkFlow> flows, std::string run,
                         std::uint16_t port)
    : cluster_(cluster), flows_(std::move(flows)), run_(std::move(run)), port_(port) {}

std::vector<NodeProbe> BulkTraffic::probes() const {
  std::vector<NodeProbe> probes;
  for (const BulkFlow& flow : flows_) {
    NodeProbe& probe = probes.emplace_back();
    probe.node = flow.from;
    probe.probe.set_id(probe_id(cluster_, flow));
    probe.probe.set_interval_ms(kIntervalMs);
    probe.probe.set_timeout_ms(kIntervalMs);
    zonequake::BulkProbe& bulk = *probe.probe.mutable_bulk();
    bulk.set_run(run_);
    bulk.set_from(mapped(flow.from_address));
    bulk.set_to(mapped(flow.to_address));
    bulk.set_port(port_);
    bulk.set_streams(flow.streams);
    bulk.set_rate_bps(flow.rate_bps);
  }
  return probes;
}

std::vector<Sample> BulkTraffic::interpret(const Answer& answer) const {
  std::vector<Sample> samples;
  for (const BulkFlow& flow : flows_) {
    if (flow.from != answer.node || probe_id(cluster_, flow) != answer.probe) continue;
    std::optional<double> mbps;
    if (answer.observation.outcome() == zonequake::Observation::ANSWER)
      mbps = json_number(parse_json(answer.observation.body()), {"mbps"});
    const Node& from = cluster_.nodes[flow.from];
    const Node& to = cluster_.nodes[flow.to];
    samples.push_back(
        {"net.throughput_mbps",
         {{"from", from.name}, {"to", to.name}, {"from_zone", from.zone}, {"to_zone", to.zone}},
         answer.at,
         mbps});
  }
  return samples;
}

}  // namespace zq
