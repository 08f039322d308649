// What the cluster file's apps are called by Marathon and by Mesos.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/cluster.h"

namespace zq {

class AppNames {
 public:
  // The apps of `scheduler`, a system of kind marathon: those that its option `group` (default "/")
  // names the group of.
  static AppNames of_scheduler(const Cluster& cluster, const SystemSpec& scheduler);
  // The apps of all systems of kind marathon.
  static AppNames of_all_schedulers(const Cluster& cluster);

  // In file order.
  [[nodiscard]] const std::vector<std::string>& apps() const { return apps_; }
  // "/group/web".
  [[nodiscard]] const std::vector<std::string>& paths() const { return paths_; }
  [[nodiscard]] std::optional<std::string> app_of_path(std::string_view path) const;
  // Marathon calls a task of "/group/web" "group_web.instance-UUID...", or, before 1.4,
  // "group_web.UUID", and gives it the name "web.group". Tasks of other frameworks belong to an app
  // whose name is their name or id.
  [[nodiscard]] std::optional<std::string> app_of_task(std::string_view id,
                                                       std::string_view name) const;

 private:
  void add(const std::string& app, std::string group);

  // Of one app each, in the same order.
  std::vector<std::string> apps_, paths_, prefixes_, names_;
};

}  // namespace zq
