// Endpoints of cluster files: templates per node, and what they parse to.
#pragma once

#include <cstdint>
#include <string>

#include "experiments/cluster.h"

namespace zq {

// "{name}" and "{ip}" (IPv6 in brackets) replaced; kInput at the system's position when something
// in braces is left or the node has no host address.
Result<std::string> expand_endpoint(const SystemSpec& system, const Node& node);

struct HostPort {
  std::string host;  // IPv6 without brackets
  std::uint16_t port = 0;
};
// "10.66.1.1:2181", "[fd66::1]:2181", "localhost:2181".
Result<HostPort> parse_host_port(const SystemSpec& system, const std::string& endpoint);

// "unix:///path", "unix:/path", "http://host:port" or "https://host/prefix"; a slash at the end is
// dropped.
struct HttpEndpoint {
  std::string unix_socket;  // empty: TCP
  std::string base;         // what a path is appended to
};
Result<HttpEndpoint> parse_http_endpoint(const SystemSpec& system, const std::string& endpoint);

}  // namespace zq
