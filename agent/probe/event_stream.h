// One opening of a StreamProbe: events as they come, then why the stream ended.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "agent.pb.h"
#include "agent/base/time.h"
#include "agent/probe/attempt.h"
#include "agent/probe/framing.h"
#include "agent/probe/http.h"

namespace zq {

struct StreamEvent {
  MonoTime at;  // when its last byte had arrived
  std::string body;
};

// Moved on by HttpClient::perform(). Destroying it closes the stream.
class EventStream {
 public:
  // `answer_within`: until an answer with status 200 begins, or another one is complete.
  EventStream(const zonequake::StreamProbe& probe, Nanos answer_within, HttpClient& http);

  // The events that came since the last call, oldest first.
  [[nodiscard]] std::deque<StreamEvent> take_events();
  // Once it has ended, for whatever reason; after the last event. The stream is of no use then.
  [[nodiscard]] std::optional<ProbeResult> end(MonoTime now);
  // When to call end() at the latest.
  [[nodiscard]] MonoTime deadline() const;
  // It has given an event and may give more.
  [[nodiscard]] bool lives() const { return had_event_; }
  [[nodiscard]] MonoTime opened() const { return opened_; }

 private:
  bool take_bytes(std::string_view bytes);
  [[nodiscard]] std::optional<ProbeResult> ended_by_itself();

  const zonequake::StreamProbe::Framing kind_;
  const Nanos silence_;
  const Nanos answer_within_;
  const MonoTime opened_;
  std::unique_ptr<Framing> framing_;
  std::deque<StreamEvent> events_;
  MonoTime last_byte_;
  bool flows_ = false;  // an answer with status 200 has begun
  bool had_event_ = false;
  std::string trouble_;                     // why the bytes cannot be understood
  std::unique_ptr<HttpTransfer> transfer_;  // last: it calls take_bytes()
};

}  // namespace zq
