// zq-calibration-master: what mesos-master is to those that ask it, with defects on request.
#include <filesystem>

#include "controller/systems/mesos_answers.h"
#include "tests/calibration/master/master.h"
#include "tests/calibration/mesos/flags.h"

namespace zq::calibration {
namespace {

constexpr int kUsage = 64;

Status check(MasterOptions& options, const std::string& zk, const std::string& quorum,
             const std::string& domain, const std::string& limit, const std::string& defects) {
  ZQ_TRY(options.zk, scheduler::parse_zookeeper_url(zk));
  ZQ_TRY(options.defects, Defects::parse(defects));
  options.quorum = static_cast<std::size_t>(std::strtoul(quorum.c_str(), nullptr, 10));
  if (options.quorum == 0) return fail(ErrorCode::kInput, "--quorum={} is no number", quorum);
  if (!domain.empty()) {
    const auto slash = domain.find('/');
    if (slash == std::string::npos) {
      return fail(ErrorCode::kInput, "--domain={} is not REGION/ZONE", domain);
    }
    options.region = domain.substr(0, slash);
    options.zone = domain.substr(slash + 1);
  }
  if (!limit.empty()) {
    const auto spacing = parse_mesos_spacing(limit);
    if (!spacing) {
      return fail(ErrorCode::kInput, "--agent_removal_rate_limit={} is not NUMBER/TIME", limit);
    }
    options.removal_spacing = from_seconds(*spacing);
  }
  return {};
}

Status run(MasterOptions options) {
  std::error_code error;
  std::filesystem::create_directories(options.work_dir, error);
  if (error) {
    return fail(ErrorCode::kInput, "--work_dir={}: {}", options.work_dir, error.message());
  }
  ZQ_TRY(auto replica, Replica::open(options.work_dir + "/replica.json"));
  Master master(std::move(options), std::move(replica));
  return master.run();
}

int start(int argc, char** argv) {
  MasterOptions options;
  CLI::App app("A Mesos master of the calibration cluster");
  Flags flags(app);
  std::string port = "5050";
  std::string zk;
  std::string quorum = "1";
  std::string domain;
  std::string limit;
  std::string pings = "5";
  std::string defects;
  flags.add("ip", options.ip, "Address to listen on");
  flags.add("port", port, "Port to listen on");
  flags.add("hostname", options.hostname, "Address that others reach us at");
  flags.add("zk", zk, "zk://HOST:PORT,.../mesos");
  flags.add("quorum", quorum, "Replicas that have to store the registry");
  flags.add("work_dir", options.work_dir, "Where our replica is");
  flags.add("max_agent_ping_timeouts", pings, "Missed pings until an agent is unreachable");
  flags.add("agent_removal_rate_limit", limit, "NUMBER/TIME: of agents that are given up");
  app.add_option("--domain", domain, "REGION/ZONE");
  app.add_option("--defect", defects, "NAME[,NAME]: misbehave, see defects.md");
  flags.add_time("zk_session_timeout", options.session_timeout, "10secs", "Session at ZooKeeper");
  flags.add_time("agent_ping_timeout", options.ping_timeout, "15secs", "Time for a ping");
  flags.add_time("agent_reregister_timeout", options.reregister_timeout, "10mins",
                 "Time that agents have after a failover; below 10mins only here");
  flags.add_time("registry_store_timeout", options.store_timeout, "20secs", "Time to store");
  flags.add_time("registry_fetch_timeout", options.fetch_timeout, "1mins", "Time to recover");
  CLI11_PARSE(app, argc, argv);
  options.port = static_cast<int>(std::strtol(port.c_str(), nullptr, 10));
  options.max_pings = static_cast<unsigned>(std::strtoul(pings.c_str(), nullptr, 10));
  const auto good = check(options, zk, quorum, domain, limit, defects);
  if (!good) {
    fmt::print(stderr, "zq-calibration-master: {}\n", good.error().message);
    return kUsage;
  }
  options.flags = flags.shown();
  if (const auto shown = domain_of(options.region, options.zone); !shown.is_null()) {
    options.flags["domain"] = shown.dump();
  }
  prepare_process("master");
  if (const auto ended = run(std::move(options)); !ended) {
    fmt::print(stderr, "zq-calibration-master: {}\n", ended.error().message);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace zq::calibration

int main(int argc, char** argv) { return zq::calibration::start(argc, argv); }
