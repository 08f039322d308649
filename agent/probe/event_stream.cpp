#include "agent/probe/event_stream.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <utility>

namespace zq {
namespace {

using zonequake::Observation;
using zonequake::StreamProbe;

constexpr Nanos kDefaultSilence = std::chrono::seconds(60);
constexpr const char* kServerSentType = "text/event-stream";

HttpRequest stream_request(const StreamProbe& probe) {
  HttpRequest request = to_request(probe.request());
  const auto is_accept = [](const auto& header) {
    return strcasecmp(header.first.c_str(), "accept") == 0;
  };
  if (probe.framing() == StreamProbe::SERVER_SENT &&
      std::ranges::none_of(request.headers, is_accept))
    request.headers.emplace_back("Accept", kServerSentType);
  return request;
}

}  // namespace

EventStream::EventStream(const StreamProbe& probe, Nanos answer_within, HttpClient& http)
    : kind_(probe.framing()),
      silence_(probe.silence_ms() == 0 ? kDefaultSilence
                                       : std::chrono::milliseconds(probe.silence_ms())),
      answer_within_(answer_within),
      opened_(mono_now()),
      framing_(kind_ == StreamProbe::SERVER_SENT ? make_server_sent() : make_record_io()),
      last_byte_(opened_) {
  HttpRequest request = stream_request(probe);
  request.on_body = [this](std::string_view bytes) { return take_bytes(bytes); };
  transfer_ = http.start(request);
}

bool EventStream::take_bytes(std::string_view bytes) {
  last_byte_ = mono_now();
  if (kind_ == StreamProbe::SERVER_SENT) {
    // Anything else (a page for people, say) would be a stream without events.
    const std::string type = transfer_->content_type();
    if (strncasecmp(type.c_str(), kServerSentType,
                    std::char_traits<char>::length(kServerSentType)) != 0)
      trouble_ = fmt::format("the answer is not {}, but {}", kServerSentType,
                             type.empty() ? "of no type" : type);
  }
  if (trouble_.empty()) {
    const Status taken = framing_->take(bytes, [this](std::string event) {
      had_event_ = true;
      events_.push_back({.at = last_byte_, .body = std::move(event)});
    });
    if (!taken) trouble_ = taken.error().message;
  }
  return trouble_.empty();
}

std::deque<StreamEvent> EventStream::take_events() { return std::exchange(events_, {}); }

std::optional<ProbeResult> EventStream::end(MonoTime now) {
  if (auto result = ended_by_itself()) return result;
  if (!flows_ && transfer_->status() == 200) {
    flows_ = true;
    last_byte_ = std::max(last_byte_, now);  // the head was bytes too
  }
  if (now < deadline()) return std::nullopt;
  if (!flows_) return transfer_->time_out();
  return ProbeResult{.outcome = Observation::TIMED_OUT,
                     .error = fmt::format(
                         "the stream has been silent for {} ms",
                         std::chrono::duration_cast<std::chrono::milliseconds>(silence_).count())};
}

std::optional<ProbeResult> EventStream::ended_by_itself() {
  std::optional<ProbeResult>& result = transfer_->result();
  if (!result) return std::nullopt;
  if (!trouble_.empty()) return failed_result(trouble_);
  if (result->outcome != Observation::ANSWER || result->status != 200) return std::move(result);
  return ProbeResult{.outcome = Observation::REFUSED,
                     .error = framing_->in_the_middle()
                                  ? "the server ended the stream in the middle of an event"
                                  : "the server ended the stream"};
}

MonoTime EventStream::deadline() const {
  return flows_ ? last_byte_ + silence_ : opened_ + answer_within_;
}

}  // namespace zq
