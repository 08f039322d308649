// Writes to etcd through its JSON gateway.
#include <fmt/format.h>

#include <boost/beast/core/detail/base64.hpp>
#include <nlohmann/json.hpp>

#include "agent/probe/http.h"
#include "agent/probe/write.h"

namespace zq {
namespace {

using nlohmann::json;
using zonequake::Observation;

constexpr int kPage = 1000;
constexpr Nanos kStopCheck = std::chrono::milliseconds(100);

std::string to_base64(const std::string& text) {
  namespace base64 = boost::beast::detail::base64;
  std::string encoded(base64::encoded_size(text.size()), '\0');
  encoded.resize(base64::encode(encoded.data(), text.data(), text.size()));
  return encoded;
}

std::string from_base64(const std::string& encoded) {
  namespace base64 = boost::beast::detail::base64;
  std::string text(base64::decoded_size(encoded.size()), '\0');
  text.resize(base64::decode(text.data(), encoded.data(), encoded.size()).first);
  return text;
}

// The first key after all that begin with `start`.
std::string range_end(std::string start) {
  while (!start.empty() && start.back() == '\xff') start.pop_back();
  if (!start.empty()) start.back() = static_cast<char>(start.back() + 1);
  return start;
}

class EtcdTarget : public WriteTarget {
 public:
  explicit EtcdTarget(WriteTargetOptions options) : options_(std::move(options)) {}

  Status put(const std::string& name, const std::string& value) override {
    ZQ_TRY(const json reply,
           call("put", {{"key", to_base64(options_.prefix + name)}, {"value", to_base64(value)}}));
    const auto header = reply.find("header");
    if (header == reply.end() || !header->is_object() || !header->contains("revision"))
      return fail(ErrorCode::kUnavailable, "etcd answered a write without a revision");
    return {};
  }

  Result<std::unordered_map<std::string, std::string>> read(const std::string& start) override {
    std::unordered_map<std::string, std::string> found;
    std::string from = options_.prefix + start;
    const std::string until = to_base64(range_end(from));
    while (true) {
      // Linearizable: the majority's state, not what this member happens to have.
      ZQ_TRY(const json reply, call("range", {{"key", to_base64(from)},
                                              {"range_end", until},
                                              {"limit", kPage},
                                              {"serializable", false}}));
      const json entries = reply.value("kvs", json::array());
      for (const json& entry : entries) {
        const std::string key = from_base64(entry.value("key", std::string()));
        if (!key.starts_with(options_.prefix))
          return fail(ErrorCode::kUnavailable, "etcd answered a range with the key '{}'", key);
        found[key.substr(options_.prefix.size())] =
            from_base64(entry.value("value", std::string()));
        from = key + '\0';
      }
      if (!reply.value("more", false) || entries.empty()) return found;
    }
  }

  Status clean(const std::string& start) override {
    const std::string from = options_.prefix + start;
    ZQ_CHECK(
        call("deleterange", {{"key", to_base64(from)}, {"range_end", to_base64(range_end(from))}}));
    return {};
  }

 private:
  Result<json> call(const char* what, const json& body) try {
    const MonoTime deadline = mono_now() + options_.timeout;
    const auto transfer = client_.start({.url = fmt::format("{}/v3/kv/{}", options_.endpoint, what),
                                         .method = "POST",
                                         .body = body.dump()});
    client_.perform();
    while (!transfer->result() && mono_now() < deadline) {
      if (options_.stop.stop_requested()) return fail(ErrorCode::kCancelled, "stopped");
      client_.wait({}, std::min(deadline, mono_now() + kStopCheck));
      client_.perform();
    }
    const ProbeResult result =
        transfer->result() ? std::move(*transfer->result()) : transfer->time_out();
    if (result.outcome != Observation::ANSWER)
      return fail(ErrorCode::kUnavailable, "{}: {}", Observation::Outcome_Name(result.outcome),
                  result.error);
    json reply = json::parse(result.body, nullptr, /*allow_exceptions=*/false);
    if (result.status < 200 || result.status > 299)
      return fail(ErrorCode::kUnavailable, "HTTP {}: {}", result.status,
                  reply.is_object() ? reply.value("error", std::string()) : std::string());
    if (!reply.is_object())
      return fail(ErrorCode::kUnavailable, "etcd's answer is not a JSON object");
    return reply;
  } catch (const json::exception& error) {
    return fail(ErrorCode::kUnavailable, "etcd's answer has an unknown form: {}", error.what());
  }

  const WriteTargetOptions options_;
  HttpClient client_;
};

}  // namespace

Result<std::unique_ptr<WriteTarget>> open_etcd(WriteTargetOptions options) {
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  if (!options.endpoint.starts_with("http://"))
    return fail(ErrorCode::kInput, "the endpoint of etcd must begin with http://, not '{}'",
                options.endpoint);
  return std::make_unique<EtcdTarget>(std::move(options));
}

}  // namespace zq
