// Real agents in namespaces on one switch, and a controller's side that is only as clever as the
// tests need it. Addresses: node N is 10.66.0.(N+1) and fd66::(N+1) on "up0", its own group.
#pragma once

#include <grpcpp/grpcpp.h>
#include <sys/un.h>

#include <memory>
#include <string>
#include <vector>

#include "agent.grpc.pb.h"
#include "agent/base/time.h"
#include "agent/orders.h"
#include "tests/integration/agent/agent_process.h"
#include "tests/integration/support/netns_fixture.h"

namespace zq::test {

using namespace std::chrono_literals;

inline constexpr std::uint16_t kProbePort = 7946;
inline constexpr auto kOk = grpc::StatusCode::OK;
inline constexpr auto kPrecondition = grpc::StatusCode::FAILED_PRECONDITION;
inline constexpr auto kInvalid = grpc::StatusCode::INVALID_ARGUMENT;

// The newest answer to beats that a thread sends every 50 ms.
class Heart {
 public:
  Heart(zonequake::Agent::Stub& stub, const zonequake::RunRef& run)
      : stream_(stub.Heartbeat(&context_)) {
    writer_ = std::jthread([this, run](const std::stop_token& stop) {
      zonequake::Beat beat;
      *beat.mutable_run() = run;
      while (!stop.stop_requested()) {
        beat.set_sequence(beat.sequence() + 1);
        beat.set_controller_mono_ns(to_ns(mono_now()));
        if (!stream_->Write(beat)) return;
        std::this_thread::sleep_for(50ms);
      }
    });
    reader_ = std::jthread([this] {
      zonequake::BeatReply reply;
      while (stream_->Read(&reply)) {
        const std::lock_guard lock(mutex_);
        newest_ = reply;
      }
      const auto status = stream_->Finish();
      const std::lock_guard lock(mutex_);
      ended_ = status;
    });
  }
  ~Heart() {
    writer_.request_stop();
    context_.TryCancel();
  }
  [[nodiscard]] zonequake::BeatReply newest() const {
    const std::lock_guard lock(mutex_);
    return newest_;
  }
  // What the stream ended with, once it has.
  [[nodiscard]] std::optional<grpc::Status> ended() const {
    const std::lock_guard lock(mutex_);
    return ended_;
  }
  [[nodiscard]] std::string violations() const {
    const auto reply = newest();
    return fmt::format("{}", fmt::join(reply.violations(), "\n"));
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<zonequake::Beat, zonequake::BeatReply>> stream_;
  mutable std::mutex mutex_;
  zonequake::BeatReply newest_;
  std::optional<grpc::Status> ended_;
  std::jthread reader_;
  std::jthread writer_;  // ends first
};

template <class T>
struct Answer {
  grpc::Status status;
  T reply;
  [[nodiscard]] grpc::StatusCode code() const { return status.error_code(); }
};

// A node with an agent and a connection to it.
class Node {
 public:
  Node(std::size_t index, const TestNetns& core) : index_(index) {
    const std::string device = fmt::format("p{}", index);
    connect_veth(netns_, "up0", core, device);
    core.ip(fmt::format("link set {} master br0", device));
    add_address(netns_, "up0", v4() + "/24");
    add_address(netns_, "up0", v6() + "/64");
  }

  [[nodiscard]] std::string name() const { return fmt::format("n{}", index_); }
  [[nodiscard]] std::string v4() const { return fmt::format("10.66.0.{}", index_ + 1); }
  [[nodiscard]] std::string v6() const { return fmt::format("fd66::{}", index_ + 1); }
  [[nodiscard]] std::size_t index() const { return index_; }
  [[nodiscard]] const TestNetns& netns() const { return netns_; }
  [[nodiscard]] std::string state_dir() const { return dir_.path() + "/state"; }
  [[nodiscard]] std::string socket() const { return dir_.path() + "/agent.sock"; }
  [[nodiscard]] std::string log() const { return read_file(dir_.path() + "/log"); }
  [[nodiscard]] Child& process() { return *process_; }
  [[nodiscard]] zonequake::Agent::Stub& stub() { return *stub_; }

  void start(std::string listen = "") {
    if (listen.empty()) listen = "unix:" + socket();
    process_.reset();
    process_ = std::make_unique<Child>(
        std::vector<std::string>{kAgent, "serve", "--node", name(), "--listen", listen,
                                 "--state-dir", state_dir(), "--netns", netns_.name()},
        dir_.path() + "/log");
    const bool local = listen.starts_with("unix:");
    // A channel made too early would wait in its back-off.
    if (local && !wait_until([&] { return listens(); }, 10s)) {
      throw std::runtime_error("agent " + name() + " does not listen:\n" + log());
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = zonequake::Agent::NewStub(
        grpc::CreateCustomChannel(listen, grpc::InsecureChannelCredentials(), arguments));
    if (local && !describe().status.ok()) {
      throw std::runtime_error("agent " + name() + " does not answer:\n" + log());
    }
  }

  template <class Request, class Reply>
  Answer<Reply> call(grpc::Status (zonequake::Agent::Stub::*method)(grpc::ClientContext*,
                                                                    const Request&, Reply*),
                     const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 10s);
    Answer<Reply> answer;
    answer.status = (stub_.get()->*method)(&context, request, &answer.reply);
    return answer;
  }
  Answer<zonequake::DescribeReply> describe(const std::vector<std::string>& peers = {}) {
    zonequake::DescribeRequest request;
    request.set_protocol(1);
    for (const auto& peer : peers) request.add_peers(write_address(*IpAddress::parse(peer)));
    return call(&zonequake::Agent::Stub::Describe, request);
  }
  Answer<zonequake::ArmReply> arm(const zonequake::ArmRequest& request) {
    return call(&zonequake::Agent::Stub::Arm, request);
  }
  Answer<zonequake::LoadReply> load(const zonequake::LoadRequest& request) {
    return call(&zonequake::Agent::Stub::Load, request);
  }
  Answer<zonequake::PathsReply> paths(const zonequake::RunRef& run) {
    return call(&zonequake::Agent::Stub::MeasurePaths, about<zonequake::PathsRequest>(run));
  }
  Answer<zonequake::EvidenceReply> evidence(const zonequake::RunRef& run) {
    return call(&zonequake::Agent::Stub::ReadEvidence, about<zonequake::EvidenceRequest>(run));
  }
  Answer<zonequake::HealReply> heal(const zonequake::RunRef& run) {
    return call(&zonequake::Agent::Stub::Heal, about<zonequake::HealRequest>(run));
  }
  Answer<zonequake::DisarmReply> disarm(const zonequake::RunRef& run) {
    return call(&zonequake::Agent::Stub::Disarm, about<zonequake::DisarmRequest>(run));
  }

 private:
  [[nodiscard]] bool listens() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket().copy(address.sun_path, sizeof address.sun_path - 1);
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  template <class Request>
  static Request about(const zonequake::RunRef& run) {
    Request request;
    *request.mutable_run() = run;
    return request;
  }

  std::size_t index_;
  TempDir dir_;
  TestNetns netns_;
  std::unique_ptr<Child> process_;
  std::unique_ptr<zonequake::Agent::Stub> stub_;
};

struct ArmSettings {
  double rate = 200;
  std::chrono::milliseconds lease = 600ms;
  std::chrono::milliseconds orphan = 5s;
};

// `count` nodes with their agents.
class Fleet {
 public:
  explicit Fleet(std::size_t count) {
    core_.ip("link add br0 type bridge mcast_snooping 0");
    core_.ip("link set br0 up");
    for (std::size_t i = 0; i < count; ++i) nodes_.push_back(std::make_unique<Node>(i, core_));
    for (auto& node : nodes_) node->start();
    run_.set_run(unique_name("run"));
    run_.set_epoch(7);
  }

  [[nodiscard]] Node& operator[](std::size_t index) { return *nodes_[index]; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] const zonequake::RunRef& run() const { return run_; }

  [[nodiscard]] zonequake::ArmRequest arm_request(const Node& node, const ArmSettings& with = {}) {
    zonequake::ArmRequest request;
    *request.mutable_run() = run_;
    request.set_group(static_cast<std::uint32_t>(node.index()));
    request.set_groups(static_cast<std::uint32_t>(size()));
    for (const auto& peer : nodes_) {
      for (const auto& text : {peer->v4(), peer->v6()}) {
        const std::string address = write_address(*IpAddress::parse(text));
        auto* const entry = request.add_book();
        entry->set_address(address);
        entry->set_length(128);
        entry->set_group(static_cast<std::uint32_t>(peer->index()));
        if (peer->index() == node.index()) {
          request.add_own(address);
          continue;
        }
        auto* const target = request.add_targets();
        target->set_node(peer->name());
        target->set_address(address);
        target->set_group(static_cast<std::uint32_t>(peer->index()));
      }
    }
    request.set_probe_rate(with.rate);
    request.set_probe_port(kProbePort);
    request.set_lease_ms(static_cast<std::uint32_t>(with.lease.count()));
    request.set_orphan_ms(static_cast<std::uint32_t>(with.orphan.count()));
    return request;
  }
  // Everything between the node and the groups, in both directions.
  [[nodiscard]] zonequake::LoadRequest cut_request(const std::vector<std::uint32_t>& groups,
                                                   MonoTime from, MonoTime until) {
    zonequake::LoadRequest request;
    *request.mutable_run() = run_;
    for (const std::uint32_t group : groups) {
      for (const auto direction : {zonequake::EGRESS, zonequake::INGRESS}) {
        auto* const rule = request.add_rules();
        rule->set_direction(direction);
        rule->set_group(group);
        auto* const window = rule->add_segments();
        window->set_from_mono_ns(to_ns(from));
        window->set_until_mono_ns(to_ns(until));
      }
    }
    return request;
  }

  // Arms all and keeps their hearts beating; the replies' dumps are kept.
  void arm(const ArmSettings& with = {}) {
    dumps_.clear();
    for (auto& node : nodes_) {
      const auto answer = node->arm(arm_request(*node, with));
      if (!answer.status.ok()) throw std::runtime_error(answer.status.error_message());
      dumps_.push_back(answer.reply.dump());
      hearts_.push_back(std::make_unique<Heart>(node->stub(), run_));
    }
  }
  [[nodiscard]] const std::string& dump_before(std::size_t index) const { return dumps_[index]; }
  [[nodiscard]] Heart& heart(std::size_t index) { return *hearts_[index]; }
  void stop_heart(std::size_t index) { hearts_[index].reset(); }

  // Between nodes 0 and 1.
  void load_cut(MonoTime from, MonoTime until) {
    for (const std::uint32_t i : {0U, 1U}) {
      const auto answer = nodes_[i]->load(cut_request({1 - i}, from, until));
      if (!answer.status.ok()) throw std::runtime_error(answer.status.error_message());
    }
  }

 private:
  TestNetns core_;
  std::vector<std::unique_ptr<Node>> nodes_;
  zonequake::RunRef run_;
  std::vector<std::string> dumps_;
  std::vector<std::unique_ptr<Heart>> hearts_;
};

// Probes of `from` that `to` has received by now, both families.
inline std::uint64_t received_from(const zonequake::PathsReply& at, const std::string& from) {
  std::uint64_t total = 0;
  for (const auto& entry : at.received()) {
    if (entry.node() == from) total += entry.received();
  }
  return total;
}
inline std::uint64_t leaked(const zonequake::PathsReply& at) {
  std::uint64_t total = 0;
  for (const auto& entry : at.received()) total += entry.received_in_window();
  return total;
}
// Whether new probes of `from` reach `to` within a time, on the agent's word.
inline bool path_opens(Node& from, Node& to, const zonequake::RunRef& run,
                       std::chrono::milliseconds within) {
  const std::uint64_t before = received_from(to.paths(run).reply, from.name());
  return wait_until([&] { return received_from(to.paths(run).reply, from.name()) > before + 3; },
                    within);
}

// Datagrams of our own between two nodes, one a millisecond, in either direction.
class Flow {
 public:
  Flow(Node& a, Node& b)
      : a_(a.netns(), a.v4(), 7001), b_(b.netns(), b.v4(), 7001), a_v4_(a.v4()), b_v4_(b.v4()) {}
  // Whether one arrives in time.
  [[nodiscard]] bool to_b(std::chrono::milliseconds within) const {
    return passes(a_, b_, b_v4_, within);
  }
  [[nodiscard]] bool to_a(std::chrono::milliseconds within) const {
    return passes(b_, a_, a_v4_, within);
  }
  // Nothing arrives on either side for the whole of that time.
  [[nodiscard]] bool is_cut(std::chrono::milliseconds during) const {
    return !to_b(during / 2) && !to_a(during / 2);
  }

 private:
  static bool passes(const UdpSocket& from, const UdpSocket& to, const std::string& address,
                     std::chrono::milliseconds within) {
    (void)to.drain();
    const MonoTime end = mono_now() + within;
    while (mono_now() < end) {
      if (from.send(address, 7001) == 0 && to.receive(1ms)) return true;
    }
    return false;
  }

  UdpSocket a_;
  UdpSocket b_;
  std::string a_v4_;
  std::string b_v4_;
};

}  // namespace zq::test
