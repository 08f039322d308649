// The tasks that a master knows of: kept up to date from the event stream of its operator API, or
// read whole from its /state. The stream does not tell of everything: an agent that becomes
// inactive or unreachable makes no event of its own (only its tasks do), so that members are not
// read from it.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/systems/mesos_answers.h"

namespace zq {

class MesosTasks {
 public:
  // Of a large cluster only a few tasks are of interest: those that `app_of` names an app for, by
  // id and by name (empty where an event does not tell it).
  using AppOf =
      std::function<std::optional<std::string>(const std::string& id, const std::string& name)>;
  explicit MesosTasks(AppOf app_of) : app_of_(std::move(app_of)) {}

  // An event of POST /api/v1 SUBSCRIBE. False: it is not one, or came before SUBSCRIBED; what is
  // known then is no longer to be trusted, so everything is forgotten.
  bool take_event(const std::string& body);
  // The answer to GET /state; false likewise.
  bool take_state(const std::string& body);
  void forget();

  // False until a whole list has been seen.
  [[nodiscard]] bool known() const { return known_; }
  // Those that have not ended. Tasks on unreachable agents are among them: as "unreachable", or as
  // "lost" where their framework is not partition-aware.
  using Key = std::pair<std::string, std::string>;  // framework, task
  struct Task {
    std::string app, agent, state;  // as MesosTask
  };
  [[nodiscard]] const std::map<Key, Task>& all() const { return tasks_; }
  // Agents that the same source has told of since the last call, with their names only.
  std::vector<MesosAgent> take_agents() { return std::exchange(agents_, {}); }

 private:
  bool take_tasks(const nlohmann::json& get_tasks);
  void learn_agent(const nlohmann::json& agent);
  bool put(const nlohmann::json& task);
  bool put_flat(const nlohmann::json& task);
  bool update(const nlohmann::json& event);

  AppOf app_of_;
  bool known_ = false;
  std::map<Key, Task> tasks_;
  std::vector<MesosAgent> agents_;
};

}  // namespace zq
