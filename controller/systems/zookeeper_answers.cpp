#include "controller/systems/zookeeper_answers.h"

#include <charconv>

#include "controller/systems/json.h"

namespace zq {
namespace {

// What stands behind `key` on a line of its own that starts with it.
std::optional<std::string_view> line_value(std::string_view body, std::string_view key) {
  while (!body.empty()) {
    const auto end = body.find('\n');
    std::string_view line = body.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with(key)) return line.substr(key.size());
    if (end == std::string_view::npos) break;
    body.remove_prefix(end + 1);
  }
  return std::nullopt;
}

// Bytes: more than parse_whole_number() takes.
std::optional<double> large_number(std::optional<std::string_view> text) {
  if (!text) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
  return static_cast<double>(value);
}

// "server.1=10.66.1.1:2888:3888:participant", with or without ";CLIENT-ADDRESS" behind it.
std::vector<std::string> voters_in(std::string_view body) {
  std::vector<std::string> voters;
  while (!body.empty()) {
    const auto end = body.find('\n');
    const std::string_view line = body.substr(0, end);
    const auto equals = line.find('=');
    if (line.starts_with("server.") && equals != std::string_view::npos &&
        line.find(":observer") == std::string_view::npos) {
      std::string_view host = line.substr(equals + 1);
      host = host.starts_with('[') ? host.substr(1, host.find(']') - 1)
                                   : host.substr(0, host.find(':'));
      voters.emplace_back(host);
    }
    if (end == std::string_view::npos) break;
    body.remove_prefix(end + 1);
  }
  return voters;
}

std::optional<ZooKeeperMode> read_mode(std::string_view word) {
  if (word == "leader") return ZooKeeperMode::kLeader;
  if (word == "follower") return ZooKeeperMode::kFollower;
  if (word == "observer") return ZooKeeperMode::kObserver;
  if (word == "standalone") return ZooKeeperMode::kStandalone;
  return std::nullopt;
}

}  // namespace

std::optional<ZooKeeperState> parse_zookeeper_srvr(const std::string& body) {
  if (body.find("not currently serving requests") != std::string::npos) return ZooKeeperState{};
  const auto mode = line_value(body, "Mode: ");
  if (!mode) return std::nullopt;
  ZooKeeperState state{read_mode(*mode), {}};
  if (!state.mode) return std::nullopt;
  if (const auto version = line_value(body, "Zookeeper version: ")) {
    state.version = version->substr(0, version->find_first_of("-, "));
  }
  return state;
}

std::optional<ZooKeeperConf> parse_zookeeper_conf(const std::string& body) {
  const auto number = [&](std::string_view key) {
    const auto text = line_value(body, key);
    return text ? parse_whole_number(*text) : std::nullopt;
  };
  const auto tick = number("tickTime=");
  if (!tick || *tick <= 0) return std::nullopt;
  return ZooKeeperConf{*tick / 1000, number("syncLimit=").value_or(0),
                       number("initLimit=").value_or(0),
                       large_number(line_value(body, "dataDirSize=")), voters_in(body)};
}

std::optional<std::vector<ExhibitorServer>> parse_exhibitor_status(const std::string& body) {
  constexpr double kServing = 3;  // latent, down, not serving, serving
  const nlohmann::json root = parse_json(body);
  if (!root.is_array()) return std::nullopt;
  std::vector<ExhibitorServer> servers;
  for (const nlohmann::json& entry : root) {
    const auto hostname = json_string(entry, {"hostname"});
    const auto code = json_number(entry, {"code"});
    if (!hostname || !code) return std::nullopt;
    servers.push_back({*hostname, *code == kServing,
                       *code == kServing && json_bool(entry, {"isLeader"}).value_or(false)});
  }
  return servers;
}

std::optional<double> parse_whole_number(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return std::nullopt;
  text = text.substr(first, text.find_last_not_of(kSpace) - first + 1);
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.size() > 9) {
    return std::nullopt;
  }
  return value;
}

}  // namespace zq
