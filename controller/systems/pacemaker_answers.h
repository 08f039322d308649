// What crm_mon --one-shot --output-as=xml prints, and corosync-cmapctl.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace zq {

struct PacemakerNode {
  std::string name;
  bool online = false;  // and not pending, unclean or in standby
  bool leads = false;   // is the DC of the partition that was asked
};

struct PacemakerResource {
  std::string id;     // "web-1", "web:0"
  std::string state;  // as app.instances names it: "running", "stopped", "starting" ...
  std::vector<std::string> nodes;  // where it is active
};

struct PacemakerState {
  std::string version;  // "2.1.5"; empty: no DC
  bool quorum = false;
  std::vector<PacemakerNode> nodes;
  std::vector<PacemakerResource> resources;  // primitives, also those in groups and clones
};
std::optional<PacemakerState> parse_crm_mon(const std::string& body);

struct CorosyncTerms {
  double token = 0, consensus = 0;  // seconds
};
// Of corosync-cmapctl with keys of runtime.config.totem.
std::optional<CorosyncTerms> parse_corosync_totem(const std::string& body);

// The app that a resource is an instance of: "web" of "web", "web-1" and "web:0".
[[nodiscard]] bool is_instance_of(const std::string& resource, const std::string& app);

}  // namespace zq
