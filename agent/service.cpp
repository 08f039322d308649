#include "agent/service.h"

#include <netinet/in.h>

#include <thread>

#include "agent/describe.h"
#include "agent/observer.h"
#include "agent/orders.h"
#include "agent/probe/engine.h"
#include "agent/wire.h"

namespace zq {
namespace {

constexpr Nanos kBatchEach = std::chrono::milliseconds(50);

grpc::StatusCode status_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInput:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case ErrorCode::kRefused:
    case ErrorCode::kNotFound:
    case ErrorCode::kExists:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case ErrorCode::kUnavailable:
      return grpc::StatusCode::UNAVAILABLE;
    case ErrorCode::kTimeout:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case ErrorCode::kCancelled:
      return grpc::StatusCode::CANCELLED;
    case ErrorCode::kKernel:
    case ErrorCode::kInternal:
      break;
  }
  return grpc::StatusCode::INTERNAL;
}

grpc::Status to_status(const Error& error) { return {status_code(error.code), error.message}; }

template <class T>
grpc::Status answer(Result<T> result, T* reply) {
  if (!result) return to_status(result.error());
  *reply = std::move(*result);
  return grpc::Status::OK;
}

}  // namespace

std::optional<GateExemption> control_exemption(const std::string& peer,
                                               std::uint16_t control_port) {
  const std::size_t family = peer.find(':');
  const std::size_t port = peer.rfind(':');
  if (control_port == 0 || !peer.starts_with("ipv") || port <= family) return std::nullopt;
  std::string host = peer.substr(family + 1, port - family - 1);
  for (const std::string_view bracket : {"%5B", "%5D", "[", "]"}) {
    if (const auto at = host.find(bracket); at != std::string::npos) host.erase(at, bracket.size());
  }
  const auto address = IpAddress::parse(host);
  if (!address) return std::nullopt;
  GateExemption exemption;
  exemption.prefix = IpPrefix::host(*address);
  exemption.any_address = false;
  exemption.protocol = IPPROTO_TCP;
  exemption.port = control_port;
  return exemption;
}

AgentService::AgentService(Session& session, std::string node)
    : session_(session), node_(std::move(node)) {}

grpc::Status AgentService::Describe(grpc::ServerContext* /*context*/,
                                    const zonequake::DescribeRequest* request,
                                    zonequake::DescribeReply* reply) {
  if (request->protocol() < kProtocol) {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            fmt::format("protocol {} is not known to this agent (version {}): it speaks {}",
                        request->protocol(), ZQ_VERSION, kProtocol)};
  }
  std::vector<IpAddress> peers;
  for (const auto& bytes : request->peers()) {
    const auto peer = read_address(bytes, "peers");
    if (!peer) return to_status(peer.error());
    peers.push_back(*peer);
  }
  auto description = describe_node(peers);
  if (!description) return to_status(description.error());
  *reply = to_wire(*description);
  reply->set_protocol(kProtocol);
  reply->set_node(node_);
  reply->set_holder(session_.holder());
  return grpc::Status::OK;
}

grpc::Status AgentService::Arm(grpc::ServerContext* context, const zonequake::ArmRequest* request,
                               zonequake::ArmReply* reply) {
  return answer(session_.arm(*request, control_exemption(context->peer(), control_port_)), reply);
}

grpc::Status AgentService::Load(grpc::ServerContext* /*context*/,
                                const zonequake::LoadRequest* request,
                                zonequake::LoadReply* reply) {
  return answer(session_.load(*request), reply);
}

grpc::Status AgentService::Heartbeat(
    grpc::ServerContext* /*context*/,
    grpc::ServerReaderWriter<zonequake::BeatReply, zonequake::Beat>* stream) {
  zonequake::Beat beat;
  while (stream->Read(&beat)) {
    auto reply = session_.beat(beat, mono_now());
    if (!reply) return to_status(reply.error());
    reply->set_sent_mono_ns(to_ns(mono_now()));
    if (!stream->Write(*reply)) break;
  }
  return grpc::Status::OK;
}

grpc::Status AgentService::Observe(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<zonequake::ObservationBatch, zonequake::ProbeSet>* stream) {
  Observer observer;
  std::stop_source ended;
  Status refused;  // written by the reader before it ends
  ProbeEngine engine([&observer](zonequake::Observation observation, ProbeNews news) {
    return observer.add(std::move(observation), news);
  });
  std::jthread reader([&] {
    zonequake::ProbeSet set;
    while (stream->Read(&set)) {
      refused = session_.may_observe(set.run());
      if (!refused) break;
      observer.keep_only(set);
      engine.set_probes(set);
    }
    ended.request_stop();
  });
  std::mutex pause_mutex;
  std::condition_variable_any pause;
  while (!ended.stop_requested()) {
    const auto batch = observer.take(ended.get_token());
    if (ended.stop_requested() || !stream->Write(batch)) break;
    std::unique_lock lock(pause_mutex);
    pause.wait_for(lock, ended.get_token(), kBatchEach, [] { return false; });
  }
  // A controller that no longer reads may still hold its half open.
  if (!ended.stop_requested()) context->TryCancel();
  reader.join();
  engine.stop();
  return refused ? grpc::Status::OK : to_status(refused.error());
}

grpc::Status AgentService::MeasurePaths(grpc::ServerContext* /*context*/,
                                        const zonequake::PathsRequest* request,
                                        zonequake::PathsReply* reply) {
  return answer(session_.measure_paths(*request), reply);
}

grpc::Status AgentService::ReadEvidence(grpc::ServerContext* /*context*/,
                                        const zonequake::EvidenceRequest* request,
                                        zonequake::EvidenceReply* reply) {
  return answer(session_.read_evidence(*request), reply);
}

grpc::Status AgentService::Heal(grpc::ServerContext* /*context*/,
                                const zonequake::HealRequest* request,
                                zonequake::HealReply* reply) {
  return answer(session_.heal(*request), reply);
}

grpc::Status AgentService::Disarm(grpc::ServerContext* /*context*/,
                                  const zonequake::DisarmRequest* request,
                                  zonequake::DisarmReply* reply) {
  return answer(session_.disarm(*request), reply);
}

grpc::Status AgentService::MeasureThroughput(grpc::ServerContext* /*context*/,
                                             const zonequake::ThroughputRequest* request,
                                             zonequake::ThroughputReply* reply) {
  return answer(session_.measure_throughput(*request), reply);
}

grpc::Status AgentService::ControlProcesses(grpc::ServerContext* /*context*/,
                                            const zonequake::ProcessRequest* request,
                                            zonequake::ProcessReply* reply) {
  return answer(session_.control_processes(*request), reply);
}

}  // namespace zq
