// The masters' registry: which agents are admitted, unreachable or gone, and the maintenance
// schedule. It is the only thing that masters store together.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace zq::calibration {

struct Registry {
  nlohmann::json master;                            // MasterInfo of the leader that wrote last
  std::map<std::string, nlohmann::json> slaves;     // AgentInfo by id
  std::map<std::string, std::int64_t> unreachable;  // since when, nanoseconds since 1970
  std::map<std::string, std::int64_t> gone;
  nlohmann::json maintenance = nlohmann::json::object();

  // As /registrar(1)/registry shows it: empty lists are left out.
  [[nodiscard]] nlohmann::json to_json() const;
  // What to_json gave; anything else gives an empty registry.
  static Registry from_json(const nlohmann::json& root);

  void admit(const std::string& id, const nlohmann::json& info);
  void mark_unreachable(const std::string& id, std::int64_t now_ns);
  void mark_gone(const std::string& id, std::int64_t now_ns);
};

}  // namespace zq::calibration
