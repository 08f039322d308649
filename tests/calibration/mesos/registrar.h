// Reads and writes the registry with a majority of the masters' replicas. Operations that wait are
// stored together. What cannot be stored in time ends the leader.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/time.h"
#include "tests/calibration/mesos/registry.h"
#include "tests/calibration/mesos/replica.h"

namespace zq::calibration {

class Registrar {
 public:
  struct Settings {
    std::size_t quorum = 1;
    Nanos fetch_timeout = std::chrono::seconds(60);
    Nanos store_timeout = std::chrono::seconds(20);
    // Defects.
    bool without_quorum = false;  // a write counts once our own replica has it
    bool forgets_agents = false;  // what is read has no agents in it
  };
  // Addresses "IP:PORT" of the other masters that are known at the time.
  using Peers = std::function<std::vector<std::string>()>;
  // Told why the registry cannot be had any more; does not return.
  using Fatal = std::function<void(const std::string& why)>;
  using Operation = std::function<void(Registry&)>;

  Registrar(Replica& replica, Settings settings, Peers peers, Fatal fatal);
  ~Registrar();
  Registrar(const Registrar&) = delete;
  Registrar& operator=(const Registrar&) = delete;

  // Waits until a majority has promised and has the registry with the new leader's name in it.
  void recover(const nlohmann::json& master_info);
  [[nodiscard]] bool recovered() const;
  // Waits until a majority has it. Not from under a lock that the Fatal needs.
  void apply(Operation operation);
  [[nodiscard]] Registry registry() const;
  [[nodiscard]] double last_store_ms() const;

 private:
  struct Waiting {
    Operation operation;
    bool done = false;
  };

  void work();
  // Asks all replicas until a majority has granted or the time is up.
  bool ask(const std::string& path, const nlohmann::json& body, Nanos timeout,
           const std::function<void(const Vote&)>& granted, bool& outdone);
  Vote ask_own(const std::string& path, const nlohmann::json& body);
  bool store(const Registry& next, Nanos timeout, bool& outdone);

  Replica& replica_;
  Settings settings_;
  Peers peers_;
  Fatal fatal_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting*> waiting_;
  Registry registry_;
  std::uint64_t proposal_ = 0;
  std::uint64_t position_ = 0;
  bool recovered_ = false;
  bool stopped_ = false;
  double store_ms_ = 0;
  std::thread thread_;
};

}  // namespace zq::calibration
