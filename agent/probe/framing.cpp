#include "agent/probe/framing.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

namespace zq {
namespace {

Status too_large(std::size_t bytes) {
  return fail(ErrorCode::kInput, "an event of {} bytes or more: at most {} MiB can be taken", bytes,
              kMaxEventBytes >> 20);
}

class RecordIo : public Framing {
 public:
  Status take(std::string_view bytes, const Sink& sink) override {
    while (!bytes.empty()) {
      if (!length_) {
        ZQ_CHECK(take_digit(bytes.front()));
        bytes.remove_prefix(1);
      } else {
        const std::string_view part = bytes.substr(0, *length_ - record_.size());
        record_.append(part);
        bytes.remove_prefix(part.size());
      }
      if (length_ && record_.size() == *length_) {
        sink(std::move(record_));
        record_ = {};
        length_.reset();
      }
    }
    return {};
  }

  bool in_the_middle() const override { return length_ || digits_ > 0; }

 private:
  Status take_digit(char byte) {
    if (byte == '\n' && digits_ > 0) {
      length_ = announced_;
      announced_ = 0;
      digits_ = 0;
      return {};
    }
    if (byte < '0' || byte > '9')
      return fail(
          ErrorCode::kInput,
          "the stream is not RecordIO: a record's length was expected, and the byte 0x{:02x} "
          "came",
          static_cast<unsigned char>(byte));
    announced_ = announced_ * 10 + static_cast<std::size_t>(byte - '0');
    ++digits_;
    if (announced_ > kMaxEventBytes) return too_large(announced_);
    // Zeros ahead would make a length without an end.
    if (digits_ > 20) return fail(ErrorCode::kInput, "the stream is not RecordIO: endless digits");
    return {};
  }

  std::size_t announced_ = 0;
  int digits_ = 0;
  std::optional<std::size_t> length_;  // of the record that is coming
  std::string record_;
};

class ServerSent : public Framing {
 public:
  Status take(std::string_view bytes, const Sink& sink) override {
    while (!bytes.empty()) {
      if (after_return_ && bytes.front() == '\n') bytes.remove_prefix(1);
      after_return_ = false;
      const std::size_t end = std::min(bytes.find_first_of("\r\n"), bytes.size());
      line_.append(bytes.substr(0, end));
      if (line_.size() + data_.size() > kMaxEventBytes)
        return too_large(line_.size() + data_.size());
      if (end == bytes.size()) return {};
      after_return_ = bytes[end] == '\r';
      bytes.remove_prefix(end + 1);
      ZQ_CHECK(take_line(sink));
      line_.clear();
    }
    return {};
  }

  bool in_the_middle() const override { return !line_.empty() || has_data_; }

 private:
  Status take_line(const Sink& sink) {
    std::string_view line = line_;
    if (first_line_ && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
    first_line_ = false;
    if (line.empty()) return dispatch(sink);
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view name = line.substr(0, colon);
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (name == "event") {
      event_ = value;
    } else if (name == "data") {
      if (has_data_) data_ += '\n';
      data_ += value;
      has_data_ = true;
    }
    return {};
  }

  Status dispatch(const Sink& sink) {
    if (has_data_) {
      const nlohmann::json event = {{"event", event_.empty() ? "message" : event_},
                                    {"data", data_}};
      std::string body = event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      // Escapes make it longer.
      if (body.size() > kMaxEventBytes) return too_large(body.size());
      sink(std::move(body));
    }
    event_.clear();
    data_ = {};
    has_data_ = false;
    return {};
  }

  std::string line_;  // so far
  bool first_line_ = true;
  bool after_return_ = false;  // a newline that comes next belongs to it
  std::string event_;
  std::string data_;
  bool has_data_ = false;
};

}  // namespace

std::unique_ptr<Framing> make_record_io() { return std::make_unique<RecordIo>(); }
std::unique_ptr<Framing> make_server_sent() { return std::make_unique<ServerSent>(); }

}  // namespace zq
