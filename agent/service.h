// The gRPC face of the agent: requests to the session and the probe engine, errors to statuses. One
// thread per call under way; an agent has one controller.
#pragma once

#include <optional>
#include <string>

#include "agent.grpc.pb.h"
#include "agent/base/error.h"
#include "agent/session.h"

namespace zq {

inline constexpr std::uint32_t kProtocol = 1;

class AgentService final : public zonequake::Agent::Service {
 public:
  // `session` outlives the service. `control_port`: where it listens on TCP; 0 = a unix socket.
  AgentService(Session& session, std::string node);
  void set_control_port(std::uint16_t port) { control_port_ = port; }

  grpc::Status Describe(grpc::ServerContext* context, const zonequake::DescribeRequest* request,
                        zonequake::DescribeReply* reply) override;
  grpc::Status Arm(grpc::ServerContext* context, const zonequake::ArmRequest* request,
                   zonequake::ArmReply* reply) override;
  grpc::Status Load(grpc::ServerContext* context, const zonequake::LoadRequest* request,
                    zonequake::LoadReply* reply) override;
  grpc::Status Heartbeat(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<zonequake::BeatReply, zonequake::Beat>* stream) override;
  grpc::Status Observe(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<zonequake::ObservationBatch, zonequake::ProbeSet>* stream) override;
  grpc::Status MeasurePaths(grpc::ServerContext* context, const zonequake::PathsRequest* request,
                            zonequake::PathsReply* reply) override;
  grpc::Status ReadEvidence(grpc::ServerContext* context, const zonequake::EvidenceRequest* request,
                            zonequake::EvidenceReply* reply) override;
  grpc::Status Heal(grpc::ServerContext* context, const zonequake::HealRequest* request,
                    zonequake::HealReply* reply) override;
  grpc::Status Disarm(grpc::ServerContext* context, const zonequake::DisarmRequest* request,
                      zonequake::DisarmReply* reply) override;
  grpc::Status MeasureThroughput(grpc::ServerContext* context,
                                 const zonequake::ThroughputRequest* request,
                                 zonequake::ThroughputReply* reply) override;
  grpc::Status ControlProcesses(grpc::ServerContext* context,
                                const zonequake::ProcessRequest* request,
                                zonequake::ProcessReply* reply) override;

 private:
  Session& session_;
  const std::string node_;
  std::uint16_t control_port_ = 0;
};

// The exemption that keeps a TCP control connection alive, from gRPC's words for its other end
// ("ipv4:10.0.0.1:4711", "ipv6:%5Bfd66::1%5D:4711"). Empty for a unix socket.
[[nodiscard]] std::optional<GateExemption> control_exemption(const std::string& peer,
                                                             std::uint16_t control_port);

}  // namespace zq
