#include "controller/systems/app_names.h"

#include <algorithm>

#include "controller/systems/options.h"

namespace zq {

void AppNames::add(const std::string& app, std::string group) {
  while (group.ends_with('/')) group.pop_back();
  if (!group.empty() && !group.starts_with('/')) group.insert(0, "/");
  const std::string path = group + "/" + app;
  std::string prefix = path.substr(1);
  std::ranges::replace(prefix, '/', '_');
  std::string name;
  for (std::string_view rest = path; !rest.empty();) {
    const auto slash = rest.rfind('/');
    name += (name.empty() ? "" : ".") + std::string(rest.substr(slash + 1));
    rest = rest.substr(0, slash);
  }
  apps_.push_back(app);
  paths_.push_back(path);
  prefixes_.push_back(prefix + ".");
  names_.push_back(std::move(name));
}

AppNames AppNames::of_scheduler(const Cluster& cluster, const SystemSpec& scheduler) {
  AppNames names;
  for (const AppSpec& app : cluster.apps) {
    if (app.system == scheduler.name) names.add(app.name, option_text(scheduler, "group", "/"));
  }
  return names;
}

AppNames AppNames::of_all_schedulers(const Cluster& cluster) {
  AppNames names;
  for (const AppSpec& app : cluster.apps) {
    const SystemSpec* const system = cluster.find_system(app.system);
    if (system == nullptr || system->kind != "marathon") continue;
    names.add(app.name, option_text(*system, "group", "/"));
  }
  return names;
}

std::optional<std::string> AppNames::app_of_path(std::string_view path) const {
  const auto found = std::ranges::find(paths_, path);
  if (found == paths_.end()) return std::nullopt;
  return apps_[static_cast<std::size_t>(found - paths_.begin())];
}

std::optional<std::string> AppNames::app_of_task(std::string_view id, std::string_view name) const {
  for (std::size_t i = 0; i < apps_.size(); ++i) {
    const bool is_its =
        id.starts_with(prefixes_[i]) || id == apps_[i] || name == names_[i] || name == apps_[i];
    if (is_its) return apps_[i];
  }
  return std::nullopt;
}

}  // namespace zq
