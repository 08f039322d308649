#include "agent/run_record.h"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace zq {

Status save_run_record(const std::string& state_dir, const RunRecord& record) {
  nlohmann::json json{{"run", record.run}, {"epoch", record.epoch}, {"ended", record.ended}};
  json["uplinks"] = nlohmann::json::array();
  for (const auto& uplink : record.uplinks) {
    json["uplinks"].push_back({{"device", uplink.device}, {"index", uplink.index}});
  }
  const std::string path = state_dir + "/run.json";
  const std::string fresh = path + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  file << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  file.close();
  if (!file) return fail(ErrorCode::kInternal, "{} cannot be written", fresh);
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, path);
  return {};
}

std::optional<RunRecord> load_run_record(const std::string& state_dir) {
  std::ifstream file(state_dir + "/run.json");
  if (!file) return std::nullopt;
  try {
    const auto json = nlohmann::json::parse(file);
    RunRecord record;
    record.run = json.at("run").get<std::string>();
    record.epoch = json.at("epoch").get<std::uint64_t>();
    record.ended = json.at("ended").get<std::string>();
    for (const auto& uplink : json.at("uplinks")) {
      record.uplinks.push_back(
          {uplink.at("device").get<std::string>(), uplink.at("index").get<unsigned>()});
    }
    return record;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace zq
