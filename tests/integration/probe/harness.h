// What the tests of probes share: a place where results gather, servers that behave as told, real
// processes that die with the test.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent.pb.h"
#include "agent/base/time.h"
#include "agent/base/unique_fd.h"
#include "agent/probe/engine.h"

namespace zq::probe_test {

using zonequake::Observation;
using namespace std::chrono_literals;

// Gathers an engine's results.
class Collector {
 public:
  // Takes everything; results and events into one list, signs of life into another.
  ProbeEngine::Sink sink();
  std::size_t alive(const std::string& probe);  // signs of life so far
  // The newest result of the probe, or of any later one, that `matches`.
  std::optional<Observation> wait(const std::string& probe,
                                  const std::function<bool(const Observation&)>& matches,
                                  Nanos within = 20s);
  std::optional<Observation> wait(const std::string& probe) {
    return wait(probe, [](const Observation&) { return true; });
  }
  std::vector<Observation> all(const std::string& probe);
  // Waits until the probe has that many results.
  bool wait_count(const std::string& probe, std::size_t count, Nanos within = 20s);

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::string, std::vector<Observation>> results_;
  std::map<std::string, std::size_t> alive_;
};

// Runs one probe once and returns its first result; an empty one (id unset) if none comes.
Observation first_result(zonequake::Probe probe);

zonequake::Probe make_probe(const std::string& id, std::uint32_t interval_ms = 200,
                            std::uint32_t timeout_ms = 1000);
zonequake::ProbeSet make_set(const std::vector<zonequake::Probe>& probes);

// A directory under the temporary one, removed with everything in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A loopback address that no other process of these tests uses, so that ports never collide.
std::string own_loopback();

// Accepts on a socket; each connection is handled on a thread of its own, which ends with the
// server.
class Server {
 public:
  using Handler = std::function<void(int connection)>;
  static Server tcp(Handler handler);  // 127.0.0.1, any port
  static Server unix_socket(const std::string& path, Handler handler);
  Server(Server&&) = default;
  ~Server();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& path = "/") const;
  [[nodiscard]] std::size_t accepted() const;

 private:
  struct State;
  Server(UniqueFd listener, std::uint16_t port, Handler handler);
  std::shared_ptr<State> state_;
  std::thread acceptor_;
  std::uint16_t port_ = 0;
};

// Reads a request's head (to the empty line); what came.
std::string read_head(int connection);
void write_all(int connection, const std::string& text);
// Handlers.
Server::Handler answer_http(const std::string& body, int status = 200);
void hang(int connection);  // until the peer or the server goes away

// A listening socket whose queue is full, so that further connects get no answer at all.
struct FullQueue {
  std::uint16_t port = 0;
  UniqueFd listener;
  std::vector<UniqueFd> waiting;
};
FullQueue full_tcp_queue();
FullQueue full_unix_queue(const std::string& path);
std::uint16_t closed_port();  // of 127.0.0.1

// A process that is killed and reaped at the end.
class ChildProcess {
 public:
  ChildProcess(const std::vector<std::string>& argv, const std::filesystem::path& log);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  void kill(int signal) const;
  // The wait status, once it has ended.
  std::optional<int> wait_end(Nanos within);

 private:
  pid_t pid_ = -1;
};

nlohmann::json body_of(const Observation& observation);

}  // namespace zq::probe_test
