#include "controller/fleet/fleet.h"

#include <atomic>
#include <condition_variable>
#include <latch>
#include <stop_token>
#include <thread>

#include "controller/fleet/streams.h"

namespace zq {
namespace {

ErrorCode code_of(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::FAILED_PRECONDITION:
      return ErrorCode::kRefused;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return ErrorCode::kInput;
    case grpc::StatusCode::UNAVAILABLE:
      return ErrorCode::kUnavailable;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return ErrorCode::kTimeout;
    default:
      return ErrorCode::kKernel;
  }
}

}  // namespace

struct Fleet::Impl {
  struct Agent {
    AgentEndpoint endpoint;
    std::unique_ptr<zonequake::Agent::Stub> stub;
    std::shared_ptr<HeartbeatStream> heartbeat;
    std::shared_ptr<ObserveStream> observe;
  };

  std::vector<AgentEndpoint> endpoints;
  std::vector<Agent> agents;
  std::jthread beater;

  // One asynchronous unary call to each of the `asked` agents, all at once. `request_of(i)` must
  // stay valid meanwhile. `patient`: an agent that is just being started gets the whole time-out,
  // not an instant no.
  template <class Reply, class RequestOf, class Call>
  std::vector<Result<Reply>> call(const std::vector<std::size_t>& asked, Nanos timeout,
                                  const RequestOf& request_of, const Call& call_one,
                                  bool patient = false) {
    struct Slot {
      grpc::ClientContext context;
      Reply reply;
      grpc::Status status;
    };
    std::vector<Slot> slots(asked.size());
    std::latch answered(static_cast<std::ptrdiff_t>(asked.size()));
    const auto deadline = std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::system_clock::duration>(timeout);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      Slot& slot = slots[i];
      slot.context.set_deadline(deadline);
      slot.context.set_wait_for_ready(patient);
      call_one(*agents[asked[i]].stub->async(), &slot.context, &request_of(asked[i]), &slot.reply,
               [&slot, &answered](const grpc::Status& status) {
                 slot.status = status;
                 answered.count_down();
               });
    }
    answered.wait();
    std::vector<Result<Reply>> results;
    results.reserve(slots.size());
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const AgentEndpoint& endpoint = endpoints[asked[i]];
      if (slots[i].status.ok()) {
        results.emplace_back(std::move(slots[i].reply));
      } else if (slots[i].status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
        results.emplace_back(fail(ErrorCode::kTimeout,
                                  "the agent of {} at {} did not answer within {}", endpoint.node,
                                  endpoint.address, format_duration(timeout)));
      } else {
        results.emplace_back(fail(code_of(slots[i].status), "{}: {}", endpoint.node,
                                  slots[i].status.error_message()));
      }
    }
    return results;
  }

  // To every agent; one result per node.
  template <class Reply, class RequestOf, class Call>
  PerAgent<Reply> call_all(Nanos timeout, const RequestOf& request_of, const Call& call_one,
                           bool patient = false) {
    std::vector<std::size_t> asked;
    for (std::size_t i = 0; i < agents.size(); ++i) {
      if (agents[i].stub) asked.push_back(i);
    }
    auto answers = call<Reply>(asked, timeout, request_of, call_one, patient);
    PerAgent<Reply> results;
    results.reserve(agents.size());
    std::size_t next = 0;
    for (const Agent& agent : agents) {
      if (agent.stub) {
        results.push_back(std::move(answers[next++]));
      } else {
        results.emplace_back(fail(ErrorCode::kNotFound, "{} has no agent", agent.endpoint.node));
      }
    }
    return results;
  }
};

Fleet::Fleet(std::vector<AgentEndpoint> endpoints) : impl_(std::make_unique<Impl>()) {
  impl_->endpoints = endpoints;
  for (AgentEndpoint& endpoint : endpoints) {
    if (endpoint.address.empty()) {
      impl_->agents.push_back({.endpoint = std::move(endpoint),
                               .stub = nullptr,
                               .heartbeat = nullptr,
                               .observe = nullptr});
      continue;
    }
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(64 << 20);
    // Channels to different agents must not share one connection pool entry by accident of
    // arguments.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    auto channel =
        grpc::CreateCustomChannel(endpoint.address, grpc::InsecureChannelCredentials(), arguments);
    impl_->agents.push_back({.endpoint = std::move(endpoint),
                             .stub = zonequake::Agent::NewStub(channel),
                             .heartbeat = nullptr,
                             .observe = nullptr});
  }
}

Fleet::~Fleet() {
  stop_observing();
  stop_heartbeats();
}

const std::vector<AgentEndpoint>& Fleet::endpoints() const { return impl_->endpoints; }

PerAgent<zonequake::DescribeReply> Fleet::describe(const zonequake::DescribeRequest& request,
                                                   Nanos timeout) {
  return impl_->call_all<zonequake::DescribeReply>(
      timeout, [&](std::size_t) -> const auto& { return request; },
      [](auto& stub, auto... arguments) { stub.Describe(arguments...); }, true);
}

PerAgent<zonequake::ArmReply> Fleet::arm(const std::vector<zonequake::ArmRequest>& requests,
                                         Nanos timeout) {
  return impl_->call_all<zonequake::ArmReply>(
      timeout, [&](std::size_t i) -> const auto& { return requests[i]; },
      [](auto& stub, auto... arguments) { stub.Arm(arguments...); });
}

PerAgent<zonequake::LoadReply> Fleet::load(const std::vector<zonequake::LoadRequest>& requests,
                                           Nanos timeout) {
  return impl_->call_all<zonequake::LoadReply>(
      timeout, [&](std::size_t i) -> const auto& { return requests[i]; },
      [](auto& stub, auto... arguments) { stub.Load(arguments...); });
}

PerAgent<zonequake::PathsReply> Fleet::measure_paths(const zonequake::PathsRequest& request,
                                                     Nanos timeout) {
  return impl_->call_all<zonequake::PathsReply>(
      timeout, [&](std::size_t) -> const auto& { return request; },
      [](auto& stub, auto... arguments) { stub.MeasurePaths(arguments...); });
}

PerAgent<zonequake::EvidenceReply> Fleet::read_evidence(const zonequake::EvidenceRequest& request,
                                                        Nanos timeout) {
  return impl_->call_all<zonequake::EvidenceReply>(
      timeout, [&](std::size_t) -> const auto& { return request; },
      [](auto& stub, auto... arguments) { stub.ReadEvidence(arguments...); });
}

PerAgent<zonequake::ProcessReply> Fleet::control_processes(const zonequake::ProcessRequest& request,
                                                           Nanos timeout) {
  return impl_->call_all<zonequake::ProcessReply>(
      timeout, [&](std::size_t) -> const auto& { return request; },
      [](auto& stub, auto... arguments) { stub.ControlProcesses(arguments...); });
}

std::vector<Result<zonequake::ThroughputReply>> Fleet::measure_throughput(
    const std::map<std::size_t, zonequake::ThroughputRequest>& requests, Nanos timeout) {
  std::vector<std::size_t> asked;
  asked.reserve(requests.size());
  for (const auto& [agent, request] : requests) asked.push_back(agent);
  return impl_->call<zonequake::ThroughputReply>(
      asked, timeout, [&](std::size_t i) -> const auto& { return requests.at(i); },
      [](auto& stub, auto... arguments) { stub.MeasureThroughput(arguments...); });
}

PerAgent<zonequake::HealReply> Fleet::heal(const zonequake::HealRequest& request, Nanos timeout) {
  return impl_->call_all<zonequake::HealReply>(
      timeout, [&](std::size_t) -> const auto& { return request; },
      [](auto& stub, auto... arguments) { stub.Heal(arguments...); });
}

PerAgent<zonequake::DisarmReply> Fleet::disarm(const zonequake::DisarmRequest& request,
                                               Nanos timeout) {
  return impl_->call_all<zonequake::DisarmReply>(
      timeout, [&](std::size_t) -> const auto& { return request; },
      [](auto& stub, auto... arguments) { stub.Disarm(arguments...); });
}

void Fleet::start_heartbeats(const zonequake::RunRef& run, Nanos interval) {
  for (Impl::Agent& agent : impl_->agents) {
    if (!agent.stub) continue;
    agent.heartbeat = std::make_shared<HeartbeatStream>(run);
    agent.stub->async()->Heartbeat(&agent.heartbeat->context(), agent.heartbeat.get());
    agent.heartbeat->start(agent.heartbeat);
  }
  impl_->beater = std::jthread([this, interval](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    while (!stop.stop_requested()) {
      for (Impl::Agent& agent : impl_->agents) {
        if (agent.heartbeat) agent.heartbeat->beat();
      }
      std::unique_lock lock(mutex);
      wake.wait_for(lock, stop, interval, [] { return false; });
    }
  });
}

void Fleet::let_go(std::size_t agent) {
  if (impl_->agents[agent].heartbeat) impl_->agents[agent].heartbeat->cancel();
}

void Fleet::stop_heartbeats() {
  if (impl_->beater.joinable()) {
    impl_->beater.request_stop();
    impl_->beater.join();
  }
  for (Impl::Agent& agent : impl_->agents) {
    if (agent.heartbeat) agent.heartbeat->cancel();
  }
  for (Impl::Agent& agent : impl_->agents) {
    if (agent.heartbeat) agent.heartbeat->wait_done();
    agent.heartbeat.reset();
  }
}

std::vector<AgentHealth> Fleet::health() const {
  std::vector<AgentHealth> result;
  result.reserve(impl_->agents.size());
  for (const Impl::Agent& agent : impl_->agents) {
    result.push_back(agent.heartbeat ? agent.heartbeat->health() : AgentHealth{});
  }
  return result;
}

std::optional<ClockEstimate> Fleet::clock(std::size_t agent) const {
  const auto& heartbeat = impl_->agents[agent].heartbeat;
  return heartbeat ? heartbeat->health().clock : std::nullopt;
}

void Fleet::start_observing(std::vector<zonequake::ProbeSet> probes, const ObservationSink& sink) {
  for (std::size_t i = 0; i < impl_->agents.size(); ++i) {
    Impl::Agent& agent = impl_->agents[i];
    if (!agent.stub) continue;
    agent.observe = std::make_shared<ObserveStream>(i, sink);
    agent.stub->async()->Observe(&agent.observe->context(), agent.observe.get());
    agent.observe->start(agent.observe);
    agent.observe->send(std::move(probes[i]));
  }
}

void Fleet::update_probes(const std::vector<zonequake::ProbeSet>& probes) {
  for (std::size_t i = 0; i < impl_->agents.size(); ++i) {
    if (impl_->agents[i].observe) impl_->agents[i].observe->send(probes[i]);
  }
}

void Fleet::stop_observing() {
  for (Impl::Agent& agent : impl_->agents) {
    if (agent.observe) agent.observe->cancel();
  }
  for (Impl::Agent& agent : impl_->agents) {
    if (agent.observe) agent.observe->wait_done();
    agent.observe.reset();
  }
}

}  // namespace zq
