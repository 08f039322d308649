// Canaries as apps of a scheduler: made, removed and counted over its own interface. Everything
// that is made carries the label zonequake=canary, and nothing without it is touched.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "experiments/cluster.h"

namespace zq {

inline constexpr const char* kCanaryLabel = "zonequake";
inline constexpr const char* kCanaryLabelValue = "canary";

struct DeployOptions {
  std::string agent_path = "/usr/local/bin/zonequake-agent";  // on the nodes
  std::string zone_field = "@zone";  // Marathon: field of the spreading constraint; "none"
  std::string constraint{};          // Marathon: "FIELD:OPERATOR[:VALUE]" instead
  std::string image{};               // Swarm: empty = one of our own is imported on every node
};

struct SchedulerCount {
  unsigned wanted = 0;
  unsigned running = 0;  // as the scheduler says
};

// Asks the system on its n-th place. Errors are those of the way there; any status is an answer.
struct SchedulerAnswer {
  int status = 0;
  std::string body;
};
using AskScheduler =
    std::function<Result<SchedulerAnswer>(std::size_t place, const zonequake::HttpProbe& request)>;

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  // Makes or changes the app so that it is as asked. kExists: an app of that name without our
  // label. The text says what else the user should know; may be empty.
  virtual Result<std::string> deploy(const AppSpec& app, const DeployOptions& options) = 0;
  // False: it was not there. kExists: as above.
  virtual Result<bool> remove(const AppSpec& app) = 0;
  // Nothing: it is not there. kExists: as above.
  virtual Result<std::optional<SchedulerCount>> count(const AppSpec& app) = 0;
  // Removes what deploy() made beside apps, once none of them is left. False: something still uses
  // it; ask again.
  virtual Result<bool> tidy() { return true; }
};

// For systems of kinds marathon and swarm; kInput for others. `places` is how many the system has.
// The cluster must outlive it.
Result<std::unique_ptr<Scheduler>> make_scheduler(const Cluster& cluster, const SystemSpec& system,
                                                  std::size_t places, AskScheduler ask);
std::unique_ptr<Scheduler> make_marathon_scheduler(const Cluster& cluster, const SystemSpec& system,
                                                   std::size_t places, AskScheduler ask);
std::unique_ptr<Scheduler> make_swarm_scheduler(std::size_t places, AskScheduler ask);

// The request on one place after the other until one answers with a status below 500.
Result<SchedulerAnswer> ask_any(const AskScheduler& ask, std::size_t places,
                                const zonequake::HttpProbe& request);
zonequake::HttpProbe scheduler_request(const std::string& method, const std::string& path,
                                       const std::string& body = "");
// kUnavailable with the beginning of the body, for statuses that nobody expected.
[[nodiscard]] tl::unexpected<Error> unexpected_answer(const std::string& what,
                                                      const SchedulerAnswer& answer);
tl::unexpected<Error> not_ours(const AppSpec& app, const std::string& name);

}  // namespace zq
