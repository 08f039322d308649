// Events out of the bytes of a stream, however these are cut into pieces.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent.pb.h"
#include "agent/base/error.h"

namespace zq {

// A larger event ends its stream. Below what gRPC carries in one message.
inline constexpr std::size_t kMaxEventBytes = std::size_t{16} << 20;

// Holds at most one event that is not complete yet.
class Framing {
 public:
  using Sink = std::function<void(std::string event)>;

  Framing() = default;
  virtual ~Framing() = default;
  Framing(const Framing&) = delete;
  Framing& operator=(const Framing&) = delete;

  // Hands every event that `bytes` completes to `sink`, in order. An error is final: the rest of
  // the stream cannot be understood.
  virtual Status take(std::string_view bytes, const Sink& sink) = 0;
  // A part of an event is there, and the rest is not.
  [[nodiscard]] virtual bool in_the_middle() const = 0;
};

// RecordIO: length in decimal, newline, that many bytes (Mesos, docs/recordio.md). Events are the
// records' bytes.
std::unique_ptr<Framing> make_record_io();
// Server-sent events (HTML Living Standard, 9.2.6). Events are JSON: {"event":"...","data":"..."};
// comments, `id` and `retry` are left out, and so are events without data, as the standard says.
std::unique_ptr<Framing> make_server_sent();

}  // namespace zq
