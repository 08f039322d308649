#include "controller/run/live_timers.h"

#include <unistd.h>

#include <filesystem>

#include "controller/run/session.h"

namespace zq {
namespace {

// A session records into a store; this one is thrown away.
class ScratchStore {
 public:
  ScratchStore() {
    std::string name = (std::filesystem::temp_directory_path() / "zonequake-plan.XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) folder_ = name;
  }
  ScratchStore(const ScratchStore&) = delete;
  ScratchStore& operator=(const ScratchStore&) = delete;
  ~ScratchStore() {
    std::error_code error;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, error);
  }
  [[nodiscard]] Result<Store> open() const {
    if (folder_.empty()) {
      return fail(ErrorCode::kUnavailable, "no folder can be made in {}",
                  std::filesystem::temp_directory_path().string());
    }
    return Store::open(folder_ + "/scratch.db");
  }

 private:
  std::string folder_;
};

}  // namespace

Result<LiveReading> RunSession::look() {
  ZQ_CHECK(begin());
  Status status = describe_fleet();
  if (status) status = learn_timers();
  fleet_->stop_observing();
  fleet_->stop_heartbeats();
  ZQ_CHECK(std::move(status));
  LiveReading reading{.variables = record_.variables,
                      .derivations = hub_->derivations(),
                      .versions = hub_->versions(),
                      .leaders = {},
                      .capabilities = capabilities_};
  for (const SystemSpec& system : cluster_.systems) {
    if (const auto leader = hub_->leader(system.name)) reading.leaders[system.name] = *leader;
  }
  return reading;
}

Result<LiveReading> read_live(const Experiment& experiment, const Cluster& cluster,
                              Testbed* testbed, RunListener& listener,
                              const std::stop_token& stop) {
  const ScratchStore scratch;
  ZQ_TRY(Store store, scratch.open());
  const RunOptions options;
  RunSession session(experiment, cluster, testbed, store, options, listener, stop);
  return session.look();
}

}  // namespace zq
