#include "controller/systems/endpoint.h"

#include <charconv>
#include <string_view>

namespace zq {
namespace {

std::string where(const SystemSpec& system) {
  return fmt::format("{}: system '{}'", system.position.to_string(), system.name);
}

void replace_all(std::string& text, std::string_view from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace

Result<std::string> expand_endpoint(const SystemSpec& system, const Node& node) {
  std::string endpoint = system.endpoint;
  replace_all(endpoint, "{name}", node.name);
  if (endpoint.find("{ip}") != std::string::npos) {
    auto address = node.host(true);
    if (!address) address = node.host(false);
    if (!address) {
      return fail(ErrorCode::kInput,
                  "{}: the endpoint '{}' needs an address, but node '{}' has prefixes only; give "
                  "the node a host address",
                  where(system), system.endpoint, node.name);
    }
    const std::string text = address->to_string();
    replace_all(endpoint, "{ip}", address->is_v4() ? text : fmt::format("[{}]", text));
  }
  if (const auto open = endpoint.find('{'); open != std::string::npos) {
    const auto close = endpoint.find('}', open);
    const std::string left =
        endpoint.substr(open, close == std::string::npos ? close : close - open + 1);
    return fail(ErrorCode::kInput,
                "{}: nothing to put for '{}' in the endpoint '{}'; known are {{name}} and {{ip}}, "
                "and {{dir}} on a testbed",
                where(system), left, system.endpoint);
  }
  return endpoint;
}

Result<HostPort> parse_host_port(const SystemSpec& system, const std::string& endpoint) {
  const auto bad = [&] {
    return fail(ErrorCode::kInput, "{}: the endpoint '{}' is not HOST:PORT, like {{ip}}:2181",
                where(system), endpoint);
  };
  const auto colon = endpoint.rfind(':');
  if (colon == std::string::npos || colon == 0) return bad();
  HostPort result;
  result.host = endpoint.substr(0, colon);
  if (result.host.front() == '[') {
    if (result.host.size() < 3 || result.host.back() != ']') return bad();
    result.host = result.host.substr(1, result.host.size() - 2);
  } else if (result.host.find_first_of(":/") != std::string::npos) {
    return bad();
  }
  const char* const first = endpoint.data() + colon + 1;
  const char* const last = endpoint.data() + endpoint.size();
  const auto [end, error] = std::from_chars(first, last, result.port);
  if (error != std::errc{} || end != last || result.port == 0) return bad();
  return result;
}

Result<HttpEndpoint> parse_http_endpoint(const SystemSpec& system, const std::string& endpoint) {
  const std::string_view text = endpoint;
  if (text.starts_with("unix:")) {
    std::string path = endpoint.substr(5);
    path.erase(0, path.find_first_not_of('/') == std::string::npos ? path.size()
                                                                   : path.find_first_not_of('/'));
    if (path.empty()) {
      return fail(ErrorCode::kInput,
                  "{}: the endpoint '{}' names no socket, like unix:{{dir}}/x.sock", where(system),
                  endpoint);
    }
    return HttpEndpoint{"/" + path, "http://localhost"};
  }
  const auto scheme = text.find("://");
  const std::string_view name = text.substr(0, scheme);
  if (scheme == std::string_view::npos || (name != "http" && name != "https") ||
      text.size() == scheme + 3 || text[scheme + 3] == '/') {
    return fail(ErrorCode::kInput,
                "{}: the endpoint '{}' is neither http://HOST:PORT, https://HOST:PORT (a path may "
                "follow) nor unix:PATH",
                where(system), endpoint);
  }
  HttpEndpoint result{"", endpoint};
  while (result.base.ends_with('/')) result.base.pop_back();
  return result;
}

}  // namespace zq
