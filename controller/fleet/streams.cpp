#include "controller/fleet/streams.h"

namespace zq {

void HeartbeatStream::beat() {
  // A stalled agent must not find a heap of old beats when it wakes up.
  if (!idle()) return;
  zonequake::Beat beat;
  *beat.mutable_run() = run_;
  {
    const std::lock_guard lock(state_mutex_);
    beat.set_sequence(++sequence_);
  }
  beat.set_controller_mono_ns(to_ns(mono_now()));
  send(std::move(beat));
}

AgentHealth HeartbeatStream::health() const {
  const std::lock_guard lock(state_mutex_);
  AgentHealth result = health_;
  result.clock = clock_.estimate(mono_now());
  return result;
}

void HeartbeatStream::handle(const zonequake::BeatReply& reply) {
  const MonoTime now = mono_now();
  {
    const std::lock_guard lock(state_mutex_);
    clock_.add({.sent_ns = reply.controller_mono_ns(),
                .remote_received_ns = reply.received_mono_ns(),
                .remote_sent_ns = reply.sent_mono_ns(),
                .received_ns = to_ns(now)});
    health_.connected = true;
    health_.last_reply = now;
    health_.lease_held = reply.lease_held();
    health_.violations.assign(reply.violations().begin(), reply.violations().end());
  }
  if (reply.sequence() < kFirstExchanges) beat();
}

void HeartbeatStream::ended(const grpc::Status& status) {
  const std::lock_guard lock(state_mutex_);
  health_.connected = false;
  health_.lease_held = false;
  health_.error = status.ok() ? "the agent closed the stream" : status.error_message();
}

}  // namespace zq
