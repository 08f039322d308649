// The scheduler's decisions: what to launch where, what to kill, what to forget, after
// Marathon 1.10. Pure: it does no I/O of its own and holds no lock; the program serialises all
// calls.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "tests/calibration/scheduler/defects.h"
#include "tests/calibration/scheduler/offer.h"
#include "tests/calibration/scheduler/state.h"

namespace zq::scheduler {

// Marathon's defaults (docs/docs/command-line-flags.md).
struct Timers {
  // Not a time, but it paces launches too: what one offer may take, so that the first one is not
  // filled while the others wait.
  int max_instances_per_offer = 5;
  Nanos reconciliation_interval = std::chrono::minutes(10);
  Nanos reconciliation_initial_delay = std::chrono::seconds(15);
  Nanos scale_apps_interval = std::chrono::minutes(5);
  Nanos scale_apps_initial_delay = std::chrono::seconds(15);
  Nanos expunge_interval = std::chrono::seconds(30);
  Nanos expunge_initial_delay = std::chrono::minutes(5);
  Nanos min_revive_interval = std::chrono::seconds(5);
  Nanos decline_duration = std::chrono::seconds(120);
  Nanos kill_retry = std::chrono::seconds(30);
  Nanos launch_confirm_timeout = std::chrono::minutes(5);
  Nanos launch_timeout = std::chrono::minutes(5);
  // Of the defects that act late.
  Nanos defect_delay = std::chrono::seconds(90);
};

struct Now {
  MonoTime mono;
  std::int64_t wall_ns = 0;
};

// Where decisions go, in the order in which they were made and after the state was stored.
class Outlet {
 public:
  virtual ~Outlet() = default;
  // A call of the v1 scheduler API without its framework_id.
  virtual void call(nlohmann::json call) = 0;
  virtual void publish(const std::string& type, nlohmann::json event) = 0;
  // All or nothing; anything but success means that nobody else may be told.
  virtual Status store(const std::vector<Change>& steps) = 0;
};

// What became of an app's offers, for /v2/queue.
struct OfferRecord {
  int processed = 0;
  int unused = 0;
  std::int64_t since_wall_ns = 0;
  std::optional<std::int64_t> last_used_wall_ns;
  std::optional<std::int64_t> last_unused_wall_ns;
  std::map<std::string, Refusal> last;  // by agent
};

// An error that REST answers with its own status.
struct Refused {
  int status = 0;  // of HTTP
  nlohmann::json body;
};
template <class T>
using Answer = tl::expected<T, Refused>;

class Scheduler {
 public:
  Scheduler(Timers timers, Defects defects, Outlet& outlet, std::function<Now()> now);

  // Takes over what an earlier leader stored. Timers count from here.
  Status load(const Nodes& nodes);

  // The stream of the v1 scheduler API. Each stores what changed before it acts; a failure to store
  // is the program's end.
  Status on_event(const nlohmann::json& event);
  void on_disconnected();
  // Everything that is due. To be called every few hundred milliseconds.
  Status tick();
  // kReschedulesOnInactive: somebody thinks that the agent is gone.
  Status on_suspected(const std::string& agent_id);
  // Apps as another leader has stored them (kStandbyLeads).
  Status adopt_apps(const Nodes& nodes);

  // REST. A refusal changes nothing.
  struct Accepted {
    std::string version;
    std::string deployment_id;
    bool created = false;
  };
  Answer<Accepted> create_app(const nlohmann::json& json);
  Answer<Accepted> update_app(const std::string& id, const nlohmann::json& json, bool force);
  Answer<Accepted> restart_app(const std::string& id, bool force);
  Answer<Accepted> delete_app(const std::string& id, bool force);
  // Instances of these tasks, in the order given; unknown ones are passed over. With `scale` the
  // apps' targets fall by as many.
  Answer<std::vector<Instance>> kill_tasks(const std::vector<std::string>& task_ids, bool scale,
                                           bool wipe, bool force);
  // Without `force` the app goes back to what it was before.
  Answer<std::optional<Accepted>> cancel_deployment(const std::string& id, bool force);

  [[nodiscard]] const State& state() const { return state_; }
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] const std::map<std::string, OfferRecord>& offer_records() const { return records_; }
  // When the app's next instance may be launched.
  [[nodiscard]] Nanos launch_delay(const std::string& app_id) const;
  [[nodiscard]] const std::map<std::string, std::int64_t>& counters() const { return counters_; }
  [[nodiscard]] std::size_t kills_in_flight() const { return kills_.size(); }
  [[nodiscard]] const Defects& defects() const { return defects_; }
  [[nodiscard]] const std::map<std::string, nlohmann::json>& last_failures() const {
    return last_failures_;
  }

 private:
  struct Kill {
    std::string agent_id;
    MonoTime next;
  };
  struct Backoff {
    double delay_seconds = 0;
    MonoTime until{};
  };

  // scheduler.cpp
  Status commit();
  void call(nlohmann::json call) { calls_.push_back(std::move(call)); }
  void publish(const std::string& type, nlohmann::json event);
  void publish_change(const Instance& instance);
  void set_condition(Instance& instance, Condition condition);
  void reconcile();
  void revive_or_suppress();
  void kill_overdue_launches();

  // updates.cpp
  void on_update(const nlohmann::json& status);
  void on_known(Instance& instance, const TaskStatus& status);
  void on_unknown(const TaskStatus& status);
  void on_ended(Instance& instance, const TaskStatus& status);
  void on_unreachable(const Instance& instance);
  void on_returned(const std::string& app_id);
  void forget(const std::string& instance_id);
  void kill(const std::string& task_id, const std::string& agent_id);
  void decommission(Instance& instance);
  void retry_kills();
  void expunge();
  void restart_running(const std::string& app_id, const std::string& except_agent);
  void kill_copies(const std::string& app_id);
  void note_failure(const Instance& instance, const TaskStatus& status);

  // placement.cpp
  void on_offers(const nlohmann::json& offers);
  void on_offer(Offer offer);
  [[nodiscard]] bool may_launch(const App& app) const;
  [[nodiscard]] std::vector<Place> placed(const App& app) const;
  // What one instance of the app takes from the offer, or nothing.
  std::optional<nlohmann::json> try_launch(Offer& offer, const App& app);
  [[nodiscard]] MatchRules rules() const;

  // scaling.cpp
  void add_instance(const App& app);
  void scale(const std::string& app_id);
  void scale_all();
  [[nodiscard]] std::vector<Instance*> kill_order(const App& app,
                                                  std::vector<Instance*> from) const;
  void progress();
  [[nodiscard]] bool progress_scale(const App& app);
  [[nodiscard]] bool progress_restart(const App& app);
  [[nodiscard]] bool progress_stop(const std::string& app_id);
  std::string begin_deployment(Deployment::Kind kind, const App& app, nlohmann::json before);
  void end_deployment(const std::string& id, bool success);

  // requests.cpp
  [[nodiscard]] Answer<const App*> unlocked(const std::string& id, bool force);
  Answer<Accepted> settle(Accepted accepted);
  Answer<Accepted> change_app(App app, const App& before);

  Timers timers_;
  Defects defects_;
  Outlet& outlet_;
  std::function<Now()> now_;

  State state_;
  Nodes stored_;
  std::vector<nlohmann::json> calls_;
  std::vector<std::pair<std::string, nlohmann::json>> events_;

  bool connected_ = false;
  std::optional<std::string> home_region_;
  bool offers_flow_ = true;  // not suppressed
  int revives_left_ = 0;
  MonoTime last_revive_{};
  MonoTime next_reconciliation_{};
  MonoTime next_scaling_{};
  MonoTime next_expunge_{};

  std::map<std::string, OfferRecord> records_;           // by app
  std::map<std::string, Backoff> backoffs_;              // by app
  std::map<std::string, Kill> kills_;                    // by task
  std::map<std::string, std::int64_t> counters_;         // by metric
  std::map<std::string, nlohmann::json> last_failures_;  // by app

  // What defects remember: instances that are not replaced, by app; apps that are not scaled yet;
  // replacements of unreachable instances; when everything was last restarted.
  std::map<std::string, int> abandoned_;
  std::map<std::string, MonoTime> held_back_;
  std::set<std::string> copies_;
  std::optional<MonoTime> last_restart_;
};

}  // namespace zq::scheduler
