// What redis-cli --json prints.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent.pb.h"

namespace zq {

// The name that Debian's sentinel.conf gives the master.
inline constexpr const char* kRedisMaster = "mymaster";

// Nobody listens there.
[[nodiscard]] bool redis_refused(const zonequake::Observation& seen);

struct RedisRole {
  bool master = false;
  bool linked = false;  // of a replica: its link with its master is up
};
// Of ROLE.
std::optional<RedisRole> parse_redis_role(const std::string& body);

// "7.0.15", of INFO server.
std::optional<std::string> parse_redis_version(const std::string& body);

struct SentinelTerms {
  double down_after = 0, failover_timeout = 0;  // seconds
};
struct SentinelServer {
  std::string host;
  bool healthy = false;                // not down, not disconnected, in the sentinel's eyes
  std::optional<SentinelTerms> terms;  // with masters only
};
// Of SENTINEL MASTER (one) or SENTINEL REPLICAS (any number).
std::optional<std::vector<SentinelServer>> parse_sentinel_servers(const std::string& body);

}  // namespace zq
