// zq-calibration-agent: what mesos-agent is to masters and to those that ask it, with defects on
// request.
#include <filesystem>

#include "controller/systems/json.h"
#include "tests/calibration/agent/agent.h"
#include "tests/calibration/mesos/flags.h"

namespace zq::calibration {
namespace {

using nlohmann::json;

constexpr int kUsage = 64;
constexpr const char* kResources = "cpus:4;mem:1024;disk:1024;ports:[31000-32000]";

Status check(AgentOptions& options, const std::string& master, const std::string& domain,
             const std::string& attributes, const std::string& resources,
             const std::string& defects) {
  ZQ_TRY(options.master, scheduler::parse_zookeeper_url(master));
  ZQ_TRY(options.defects, Defects::parse(defects));
  ZQ_TRY(json named, parse_attributes(attributes));
  ZQ_TRY(const json amounts, parse_resource_flag(resources));
  if (options.defects.has(Defect::kWrongZone)) {
    for (auto& one : named) {
      if (one.at("name") == "zone") one["text"]["value"] = "elsewhere";
    }
  }
  options.info = {{"hostname", options.hostname},
                  {"port", options.port},
                  {"attributes", named},
                  {"resources", amounts},
                  {"checkpoint", true}};
  if (domain.empty()) return {};
  const auto slash = domain.find('/');
  if (slash == std::string::npos) {
    return fail(ErrorCode::kInput, "--domain={} is not REGION/ZONE", domain);
  }
  options.info["domain"] = {{"fault_domain",
                             {{"region", {{"name", domain.substr(0, slash)}}},
                              {"zone", {{"name", domain.substr(slash + 1)}}}}}};
  options.flags["domain"] = options.info.at("domain").dump();
  return {};
}

Status run(AgentOptions options) {
  std::error_code error;
  std::filesystem::create_directories(options.work_dir, error);
  if (error) {
    return fail(ErrorCode::kInput, "--work_dir={}: {}", options.work_dir, error.message());
  }
  Agent agent(std::move(options));
  return agent.run();
}

int start(int argc, char** argv) {
  AgentOptions options;
  CLI::App app("A Mesos agent of the calibration cluster");
  Flags flags(app);
  std::string port = "5051";
  std::string master;
  std::string domain;
  std::string attributes;
  std::string resources = kResources;
  std::string defects;
  flags.add("ip", options.ip, "Address to listen on");
  flags.add("port", port, "Port to listen on");
  flags.add("hostname", options.hostname, "Address that others reach us at");
  flags.add("master", master, "zk://HOST:PORT,.../mesos");
  flags.add("work_dir", options.work_dir, "Where tasks are remembered");
  flags.add("attributes", attributes, "NAME:VALUE;...");
  flags.add("resources", resources, "NAME:VALUE;...");
  app.add_option("--domain", domain, "REGION/ZONE");
  app.add_option("--defect", defects, "NAME[,NAME]: misbehave, see defects.md");
  flags.add_time("zk_session_timeout", options.session_timeout, "10secs", "Session at ZooKeeper");
  flags.add_time("registration_backoff_factor", options.backoff, "1secs",
                 "The first registration comes after a random part of it");
  CLI11_PARSE(app, argc, argv);
  options.port = static_cast<int>(std::strtol(port.c_str(), nullptr, 10));
  const auto good = check(options, master, domain, attributes, resources, defects);
  if (!good) {
    fmt::print(stderr, "zq-calibration-agent: {}\n", good.error().message);
    return kUsage;
  }
  options.flags.merge(flags.shown());
  prepare_process("agent");
  if (const auto ended = run(std::move(options)); !ended) {
    fmt::print(stderr, "zq-calibration-agent: {}\n", ended.error().message);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace zq::calibration

int main(int argc, char** argv) { return zq::calibration::start(argc, argv); }
