// The two long-lived streams to an agent, as gRPC callback reactors. Private to controller/fleet.
// A reactor is owned by a shared_ptr that also keeps itself alive until gRPC has called OnDone.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "agent.grpc.pb.h"
#include "controller/fleet/clock_filter.h"
#include "controller/fleet/fleet.h"

namespace zq {

// A bidirectional stream that writes queued messages one at a time and hands every read to
// `handle`.
template <class Request, class Reply>
class BidiStream : public grpc::ClientBidiReactor<Request, Reply> {
 public:
  grpc::ClientContext& context() { return context_; }

  // Call once, after the stub has bound this reactor.
  void start(std::shared_ptr<BidiStream> self) {
    self_ = std::move(self);
    // Writes are started from other threads: the hold keeps gRPC's end of the stream until reading
    // has ended, after which none is started.
    this->AddHold();
    this->StartRead(&incoming_);
    this->StartCall();
  }

  void send(Request message) {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    queue_.push_back(std::move(message));
    write_next();
  }

  // Nothing queued and nothing on its way: the agent keeps up.
  [[nodiscard]] bool idle() const {
    const std::lock_guard lock(mutex_);
    return queue_.empty();
  }

  void cancel() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    context_.TryCancel();
  }

  void wait_done() {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return done_; });
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      {
        const std::lock_guard lock(mutex_);
        closing_ = true;
      }
      this->RemoveHold();
      return;
    }
    handle(incoming_);
    this->StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!queue_.empty()) queue_.pop_front();
    if (!ok) closing_ = true;
    write_next();
  }

  void OnDone(const grpc::Status& status) override {
    ended(status);
    std::shared_ptr<BidiStream> keep_until_return;
    const std::lock_guard lock(mutex_);
    keep_until_return = std::move(self_);
    done_ = true;
    finished_.notify_all();
  }

 protected:
  virtual void handle(const Reply& reply) = 0;
  virtual void ended(const grpc::Status& status) = 0;

 private:
  void write_next() {  // under mutex_
    if (writing_ || queue_.empty() || closing_) return;
    writing_ = true;
    this->StartWrite(&queue_.front());
  }

  grpc::ClientContext context_;
  mutable std::mutex mutex_;
  std::condition_variable finished_;
  std::deque<Request> queue_;
  Reply incoming_;
  bool writing_ = false;
  bool closing_ = false;
  bool done_ = false;
  std::shared_ptr<BidiStream> self_;
};

class HeartbeatStream final : public BidiStream<zonequake::Beat, zonequake::BeatReply> {
 public:
  explicit HeartbeatStream(zonequake::RunRef run) : run_(std::move(run)) {}

  void beat();
  [[nodiscard]] AgentHealth health() const;

 protected:
  void handle(const zonequake::BeatReply& reply) override;
  void ended(const grpc::Status& status) override;

 private:
  static constexpr std::uint64_t kFirstExchanges = 8;

  const zonequake::RunRef run_;
  mutable std::mutex state_mutex_;
  std::uint64_t sequence_ = 0;
  ClockFilter clock_;
  AgentHealth health_;
};

class ObserveStream final : public BidiStream<zonequake::ProbeSet, zonequake::ObservationBatch> {
 public:
  ObserveStream(std::size_t index, Fleet::ObservationSink sink)
      : index_(index), sink_(std::move(sink)) {}

 protected:
  void handle(const zonequake::ObservationBatch& batch) override { sink_(index_, batch); }
  void ended(const grpc::Status&) override {}

 private:
  const std::size_t index_;
  const Fleet::ObservationSink sink_;
};

}  // namespace zq
