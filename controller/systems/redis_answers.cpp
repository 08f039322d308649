#include "controller/systems/redis_answers.h"

#include "controller/systems/json.h"
#include "controller/systems/zookeeper_answers.h"

namespace zq {
namespace {

using nlohmann::json;

std::optional<double> milliseconds(const json& server, const char* key) {
  const auto text = json_string(server, {key});
  const auto value = text ? parse_whole_number(*text) : std::nullopt;
  return value ? std::optional<double>(*value / 1000) : std::nullopt;
}

std::optional<SentinelServer> parse_server(const json& server) {
  const auto host = json_string(server, {"ip"});
  const auto flags = json_string(server, {"flags"});
  if (!host || !flags) return std::nullopt;
  SentinelServer result{.host = *host, .healthy = true, .terms = {}};
  // "master,s_down,o_down", "slave,disconnected".
  for (const char* bad : {"s_down", "o_down", "disconnected"}) {
    if (flags->find(bad) != std::string::npos) result.healthy = false;
  }
  const auto down_after = milliseconds(server, "down-after-milliseconds");
  const auto failover_timeout = milliseconds(server, "failover-timeout");
  if (down_after && failover_timeout) result.terms = SentinelTerms{*down_after, *failover_timeout};
  return result;
}

}  // namespace

bool redis_refused(const zonequake::Observation& seen) {
  return seen.outcome() == zonequake::Observation::REFUSED ||
         (seen.outcome() == zonequake::Observation::ANSWER && seen.status() != 0 &&
          seen.error().find("Connection refused") != std::string::npos);
}

std::optional<RedisRole> parse_redis_role(const std::string& body) {
  const json root = parse_json(body);
  if (!root.is_array() || root.empty() || !root[0].is_string()) return std::nullopt;
  const auto role = root[0].get<std::string>();
  if (role == "master") return RedisRole{.master = true, .linked = false};
  // ["slave", master's host, its port, state of the link, offset]
  if (role != "slave" || root.size() < 4 || !root[3].is_string()) return std::nullopt;
  return RedisRole{.master = false, .linked = root[3].get<std::string>() == "connected"};
}

std::optional<std::string> parse_redis_version(const std::string& body) {
  // As a JSON string, or as it is, depending on redis-cli's version.
  const std::string key = "redis_version:";
  const auto at = body.find(key);
  if (at == std::string::npos) return std::nullopt;
  const auto end = body.find_first_not_of("0123456789.", at + key.size());
  std::string version = body.substr(at + key.size(), end - at - key.size());
  return version.empty() ? std::nullopt : std::optional(std::move(version));
}

std::optional<std::vector<SentinelServer>> parse_sentinel_servers(const std::string& body) {
  const json root = parse_json(body);
  if (!root.is_object() && !root.is_array()) return std::nullopt;
  std::vector<SentinelServer> servers;
  for (const json& server : root.is_array() ? root : json::array({root})) {
    auto parsed = parse_server(server);
    if (!parsed) return std::nullopt;
    servers.push_back(std::move(*parsed));
  }
  return servers;
}

}  // namespace zq
