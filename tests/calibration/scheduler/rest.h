// Marathon's REST interface as its leader answers it. Standbys, /v2/events and transport are
// the program's.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/calibration/scheduler/scheduler.h"
#include "tests/calibration/scheduler/views.h"

namespace zq::scheduler {

struct Request {
  std::string method;
  std::string path;  // without the query, not decoded
  std::multimap<std::string, std::string> query;
  std::string body;

  [[nodiscard]] bool flag(const std::string& name, bool otherwise = false) const;
};

// A target of HTTP, "/v2/apps?embed=apps.tasks": percent escapes in the query are resolved.
[[nodiscard]] Request parse_target(const std::string& method, const std::string& target,
                                   std::string body);

struct Response {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::map<std::string, std::string> headers;
  bool abdicates = false;  // the leader is to exit once this has been sent
};

[[nodiscard]] Response json_response(int status, const nlohmann::json& body);

Response answer(Scheduler& scheduler, const About& about, const Request& request, Now now);

}  // namespace zq::scheduler
