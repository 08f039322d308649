// The tasks that a master knows of: kept up to date from the event stream of its operator API, or
// read whole from its /state. The stream does not tell of everything: an agent that becomes
// inactive or unreachable makes no event of its own (only its tasks do), so that members are not
// read from it.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>

#include "controller/systems/mesos_answers.h"

namespace zq {

class MesosTasks {
 public:
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
  [[nodiscard]] const std::map<Key, MesosTask>& all() const { return tasks_; }
  // Agents by id, with their names only, as far as the same source told of them.
  [[nodiscard]] const std::map<std::string, MesosAgent>& agents() const { return agents_; }

 private:
  bool take_tasks(const nlohmann::json& get_tasks);
  void take_agent(const nlohmann::json& agent);
  bool put(const nlohmann::json& task);
  bool put_flat(const nlohmann::json& task);
  bool update(const nlohmann::json& event);

  bool known_ = false;
  std::map<Key, MesosTask> tasks_;
  std::map<std::string, MesosAgent> agents_;
};

}  // namespace zq
