// A scheduler between a clock that the test turns and a master of which only the calls are seen.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/calibration/scheduler/rest.h"
#include "tests/calibration/scheduler/scheduler.h"

namespace zq::scheduler {

class Harness : public Outlet {
 public:
  explicit Harness(const std::string& defects = "", Timers timers = {});

  // Outlet.
  void call(nlohmann::json call) override { calls.push_back(std::move(call)); }
  void publish(const std::string& type, nlohmann::json event) override {
    events.emplace_back(type, std::move(event));
  }
  Status store(const std::vector<Change>& steps) override;

  void subscribe(const std::string& region = "r1");
  // Time passes in ticks of 500 ms.
  void pass(Nanos time);
  // An agent with these resources makes an offer; calls are answered by obey().
  void offer(const std::string& agent, double cpus, double mem = 1024,
             const std::string& zone = "a", const std::string& region = "r1");
  void update(const std::string& task, const std::string& state, const std::string& reason = "",
              bool acknowledged = true);
  // Tasks that were launched and have not been told to run yet do; killed ones end.
  void obey();
  // An app of `instances` with all of them running, spread over agents s1 ... sN of zones a ... .
  void deploy(const std::string& id, int instances, const nlohmann::json& more = {});

  [[nodiscard]] Response request(const std::string& method, const std::string& target,
                                 const nlohmann::json& body = nullptr);
  [[nodiscard]] nlohmann::json get(const std::string& target);
  // Calls of a type since the last forget_calls().
  [[nodiscard]] std::vector<nlohmann::json> calls_of(const std::string& type) const;
  [[nodiscard]] std::vector<std::string> killed() const;
  void forget_calls() { calls.clear(); }
  // Tasks of the app that are believed to run, with their agents.
  [[nodiscard]] std::map<std::string, std::string> running(const std::string& app) const;
  [[nodiscard]] std::size_t waiting(const std::string& app) const;
  [[nodiscard]] std::vector<std::string> event_types() const;

  std::vector<nlohmann::json> calls;
  std::vector<std::pair<std::string, nlohmann::json>> events;
  Nodes nodes;  // as stored
  bool store_fails = false;
  Now now{mono_now(), 1'795'556'561'000'000'000};
  About about;
  Scheduler scheduler;

 private:
  std::size_t obeyed_ = 0;
  int offers_ = 0;
  std::map<std::string, std::string> agents_;  // of tasks
};

}  // namespace zq::scheduler
