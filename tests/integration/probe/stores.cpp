#include "tests/integration/probe/stores.h"

#include <fmt/format.h>
#include <signal.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

#include "agent/probe/write.h"

namespace zq::probe_test {

void Store::start() {
  const auto log = dir_.path() / "log";
  process_ = std::make_unique<ChildProcess>(command(), log);
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({readiness()}));
  const auto answer = collector.wait(
      "ready", [this](const Observation& o) { return is_ready(o); }, 40s);
  if (answer) return;
  std::ifstream file(log);
  throw std::runtime_error(fmt::format("{} did not come up: {}", kind(),
                                       std::string(std::istreambuf_iterator<char>(file), {})));
}

void Store::kill() { process_.reset(); }

namespace {

std::string run(const std::vector<std::string>& argv) {
  zonequake::Probe probe = make_probe("run", 60'000, 10'000);
  for (const std::string& word : argv) probe.mutable_exec()->add_argv(word);
  const Observation result = first_result(probe);
  if (result.outcome() != Observation::ANSWER || result.status() != 0)
    throw std::runtime_error(fmt::format("{}: {}", argv.front(), result.error()));
  return result.body();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    if (!line.empty()) lines.push_back(line);
  return lines;
}

class Etcd : public Store {
 public:
  [[nodiscard]] std::string kind() const override { return "etcd"; }
  [[nodiscard]] std::string endpoint() const override {
    return fmt::format("http://{}:2379", host_);
  }
  bool remove(const std::string& prefix, const std::string& name) override {
    return run(client({"del", prefix + name})) == "1\n";
  }
  bool overwrite(const std::string& prefix, const std::string& name) override {
    return run(client({"put", prefix + name, "other"})) == "OK\n";
  }
  bool add(const std::string& prefix, const std::string& name) override {
    return overwrite(prefix, name);
  }
  std::vector<std::string> names(const std::string& prefix) override {
    std::vector<std::string> names =
        lines_of(run(client({"get", "--prefix", "--keys-only", prefix})));
    for (std::string& name : names) name.erase(0, prefix.size());
    return names;
  }

 protected:
  std::vector<std::string> command() override {
    const std::string peer = fmt::format("http://{}:2380", host_);
    return {"/usr/bin/etcd",
            "--name",
            "one",
            "--data-dir",
            dir_.path() / "data",
            "--listen-client-urls",
            endpoint(),
            "--advertise-client-urls",
            endpoint(),
            "--listen-peer-urls",
            peer,
            "--initial-advertise-peer-urls",
            peer,
            "--initial-cluster",
            "one=" + peer,
            "--heartbeat-interval",
            "20",
            "--election-timeout",
            "200",
            "--unsafe-no-fsync"};
  }
  [[nodiscard]] zonequake::Probe readiness() const override {
    zonequake::Probe probe = make_probe("ready", 50);
    probe.mutable_http()->set_url(endpoint() + "/health");
    return probe;
  }
  [[nodiscard]] bool is_ready(const Observation& answer) const override {
    return answer.status() == 200;
  }

 private:
  [[nodiscard]] std::vector<std::string> client(const std::vector<std::string>& words) const {
    std::vector<std::string> argv{"env", "ETCDCTL_API=3", "etcdctl", "--endpoints", endpoint()};
    argv.insert(argv.end(), words.begin(), words.end());
    return argv;
  }
};

// Reads and changes nodes with the workload's own client: ZooKeeper's Java shell takes seconds.
class ZooKeeper : public Store {
 public:
  [[nodiscard]] std::string kind() const override { return "zookeeper"; }
  [[nodiscard]] std::string endpoint() const override { return fmt::format("{}:2181", host_); }
  bool remove(const std::string& prefix, const std::string& name) override {
    return target(prefix)->clean(name).has_value();
  }
  bool overwrite(const std::string& prefix, const std::string& name) override {
    return remove(prefix, name) && add(prefix, name);
  }
  bool add(const std::string& prefix, const std::string& name) override {
    return target(prefix)->put(name, "other").has_value();
  }
  std::vector<std::string> names(const std::string& prefix) override {
    std::vector<std::string> names;
    const auto found = target(prefix)->read("");
    if (!found) throw std::runtime_error(found.error().message);
    for (const auto& [name, value] : *found) names.push_back(name);
    return names;
  }

 protected:
  std::vector<std::string> command() override {
    const auto config = dir_.path() / "zoo.cfg";
    std::ofstream(config) << fmt::format(
        "tickTime=200\ninitLimit=50\nsyncLimit=5\ndataDir={}\nclientPort=2181\n"
        "clientPortAddress={}\n4lw.commands.whitelist=*\nadmin.enableServer=false\n",
        (dir_.path() / "data").string(), host_);
    return {"java",
            "-Xmx64m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            fmt::format("{}:/usr/share/java/zookeeper.jar", dir_.path().string()),
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            config};
  }
  [[nodiscard]] zonequake::Probe readiness() const override {
    zonequake::Probe probe = make_probe("ready", 50);
    probe.mutable_four_letter()->set_host(host_);
    probe.mutable_four_letter()->set_port(2181);
    probe.mutable_four_letter()->set_word("srvr");
    return probe;
  }
  [[nodiscard]] bool is_ready(const Observation& answer) const override {
    return answer.body().find("Mode: standalone") != std::string::npos;
  }

 private:
  [[nodiscard]] std::unique_ptr<WriteTarget> target(const std::string& prefix) const {
    auto opened = open_zookeeper(
        {.endpoint = endpoint(), .prefix = prefix, .timeout = 5s, .stop = std::stop_token()});
    if (!opened) throw std::runtime_error(opened.error().message);
    return std::move(*opened);
  }
};

// A server, and a sentinel that watches it.
class Redis : public Store {
 public:
  [[nodiscard]] std::string kind() const override { return "redis-sentinel"; }
  [[nodiscard]] std::string endpoint() const override {
    return fmt::format("{}:26379/main", host_);
  }
  bool remove(const std::string& prefix, const std::string& name) override {
    return run(client({"DEL", prefix + name})) == "1\n";
  }
  bool overwrite(const std::string& prefix, const std::string& name) override {
    return run(client({"SET", prefix + name, "other"})) == "OK\n";
  }
  bool add(const std::string& prefix, const std::string& name) override {
    return overwrite(prefix, name);
  }
  std::vector<std::string> names(const std::string& prefix) override {
    std::vector<std::string> names = lines_of(run(client({"KEYS", prefix + "*"})));
    for (std::string& name : names) name.erase(0, prefix.size());
    return names;
  }

 protected:
  std::vector<std::string> command() override {
    const auto config = dir_.path() / "sentinel.conf";
    std::ofstream(config) << fmt::format(
        "bind {0}\nport 26379\nprotected-mode no\nsentinel monitor main {0} 6379 1\n", host_);
    sentinel_.reset();
    sentinel_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{"/usr/bin/redis-sentinel", config}, dir_.path() / "sentinel.log");
    return {"/usr/bin/redis-server",
            "--bind",
            host_,
            "--port",
            "6379",
            "--dir",
            dir_.path(),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--protected-mode",
            "no"};
  }
  [[nodiscard]] zonequake::Probe readiness() const override {
    zonequake::Probe probe = make_probe("ready", 50);
    for (const std::string& word :
         {std::string("sh"), std::string("-c"),
          fmt::format("redis-cli -h {0} PING | grep -q PONG && redis-cli -h {0} -p 26379 PING",
                      host_)}) {
      probe.mutable_exec()->add_argv(word);
    }
    return probe;
  }
  [[nodiscard]] bool is_ready(const Observation& answer) const override {
    return answer.body() == "PONG\n";
  }

 private:
  [[nodiscard]] std::vector<std::string> client(const std::vector<std::string>& words) const {
    std::vector<std::string> argv{"redis-cli", "-h", host_};
    argv.insert(argv.end(), words.begin(), words.end());
    return argv;
  }

  std::unique_ptr<ChildProcess> sentinel_;
};

}  // namespace

std::unique_ptr<Store> make_redis() { return std::make_unique<Redis>(); }
std::unique_ptr<Store> make_etcd() { return std::make_unique<Etcd>(); }
std::unique_ptr<Store> make_zookeeper() { return std::make_unique<ZooKeeper>(); }

}  // namespace zq::probe_test
