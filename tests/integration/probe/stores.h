// Real stores, each a single member on a loopback address of its own, in a temporary directory.
#pragma once

#include <signal.h>

#include <memory>

#include "tests/integration/probe/harness.h"

namespace zq::probe_test {

class Store {
 public:
  virtual ~Store() = default;
  // Starts the server (again, with the same data) and waits until it answers.
  void start();
  void kill();  // SIGKILL
  void pause() const { process_->kill(SIGSTOP); }
  void resume() const { process_->kill(SIGCONT); }

  [[nodiscard]] virtual std::string kind() const = 0;
  [[nodiscard]] virtual std::string endpoint() const = 0;
  // Behind the back of the workload. Names are relative to the prefix.
  virtual bool remove(const std::string& prefix, const std::string& name) = 0;
  virtual bool overwrite(const std::string& prefix, const std::string& name) = 0;
  virtual bool add(const std::string& prefix, const std::string& name) = 0;
  virtual std::vector<std::string> names(const std::string& prefix) = 0;

 protected:
  Store() = default;
  [[nodiscard]] virtual std::vector<std::string> command() = 0;
  // Probes that answer only when the server serves.
  [[nodiscard]] virtual zonequake::Probe readiness() const = 0;
  [[nodiscard]] virtual bool is_ready(const Observation& answer) const = 0;

  TempDir dir_;
  std::string host_ = own_loopback();

 private:
  std::unique_ptr<ChildProcess> process_;
};

std::unique_ptr<Store> make_etcd();
std::unique_ptr<Store> make_zookeeper();
std::unique_ptr<Store> make_redis();

}  // namespace zq::probe_test
