// Asks a whole range of ports of one host for canaries, all at once.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <nlohmann/json.hpp>
#include <tuple>

#include "agent/probe/attempt.h"
#include "agent/probe/tcp.h"

namespace zq {
namespace {

using nlohmann::json;
using zonequake::Observation;

// More would be a slip of the pen, and thousands of sockets.
constexpr std::uint32_t kMaxPorts = 1024;

// HTTP/1.0: the peer closes after the answer and sends no chunks.
constexpr const char* kRequest =
    "GET /whoami HTTP/1.0\r\nHost: canary\r\nConnection: close\r\n\r\n";

std::optional<json> parse_whoami(const std::string& raw) {
  namespace http = boost::beast::http;
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  boost::system::error_code error;
  parser.put(boost::asio::buffer(raw), error);
  if (!error && !parser.is_done()) parser.put_eof(error);
  if (error || !parser.is_done() || parser.get().result() != http::status::ok) return std::nullopt;
  json answer = json::parse(parser.get().body(), nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) return std::nullopt;
  for (const char* key : {"app", "instance", "host"})
    if (const auto found = answer.find(key); found == answer.end() || !found->is_string())
      return std::nullopt;
  return answer;
}

class CanaryAttempt : public Attempt {
 public:
  explicit CanaryAttempt(const zonequake::CanaryProbe& probe) : app_(probe.app()) {
    for (std::uint32_t port = probe.port_first(); port <= probe.port_last(); ++port)
      ports_.push_back({port, TcpExchange(probe.host(), port, kRequest), std::nullopt});
  }

  void collect(std::vector<DescriptorWait>& waits) const override {
    for (const Port& port : ports_)
      if (!port.result) port.exchange.collect(waits);
  }

  std::optional<ProbeResult> advance() override {
    bool decided = true;
    for (Port& port : ports_) {
      if (port.result) continue;
      port.result = port.exchange.advance();
      decided = decided && port.result.has_value();
    }
    if (!decided) return std::nullopt;
    return summary();
  }

  ProbeResult time_out() override {
    // A single port that accepted, answered or refused shows that the host is there; ports from
    // which nothing came then have a listener that hangs with its queue full.
    bool host_answers = false;
    for (const Port& port : ports_)
      host_answers = host_answers || port.exchange.connected() ||
                     (port.result && port.result->outcome != Observation::TIMED_OUT);
    if (!host_answers)
      return {.outcome = Observation::TIMED_OUT, .error = "no port of the range answered in time"};
    for (Port& port : ports_)
      if (!port.result) port.result = port.exchange.time_out();
    return summary();
  }

 private:
  struct Port {
    std::uint32_t number;
    TcpExchange exchange;
    std::optional<ProbeResult> result;
  };

  ProbeResult summary() {
    json found = json::array();
    for (const Port& port : ports_) {
      switch (port.result->outcome) {
        case Observation::ANSWER:
          add_answer(found, port);
          break;
        case Observation::TIMED_OUT:
          found.push_back({{"port", port.number}, {"hangs", true}});
          break;
        case Observation::UNREACHABLE:
        case Observation::FAILED:
          return *port.result;  // goes for the host or for us, not for the one port
        default:
          break;
      }
    }
    std::sort(found.begin(), found.end(), [](const json& a, const json& b) {
      const auto key = [](const json& entry) {
        return std::tuple(entry.value("instance", std::string()),
                          entry.at("port").get<std::uint32_t>());
      };
      return key(a) < key(b);
    });
    return {.outcome = Observation::ANSWER,
            .body = found.dump(-1, ' ', false, json::error_handler_t::replace)};
  }

  void add_answer(json& found, const Port& port) const {
    const std::optional<json> answer = parse_whoami(port.result->body);
    if (!answer || answer->at("app") != app_) return;
    // Only what stays the same: an unchanged answer must compare equal.
    json entry = {{"app", answer->at("app")},
                  {"instance", answer->at("instance")},
                  {"host", answer->at("host")},
                  {"port", port.number}};
    if (const auto zone = answer->find("zone"); zone != answer->end()) entry["zone"] = *zone;
    found.push_back(std::move(entry));
  }

  std::string app_;
  std::vector<Port> ports_;
};

}  // namespace

std::unique_ptr<Attempt> start_canary(const zonequake::CanaryProbe& probe) {
  if (probe.port_first() == 0 || probe.port_last() > 65535 ||
      probe.port_first() > probe.port_last() || probe.port_last() - probe.port_first() >= kMaxPorts)
    return start_known(
        failed_result(fmt::format("{}-{} is not a range of at most {} ports", probe.port_first(),
                                  probe.port_last(), kMaxPorts)));
  return std::make_unique<CanaryAttempt>(probe);
}

}  // namespace zq
