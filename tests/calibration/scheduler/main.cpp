// zq-calibration-scheduler: Marathon's interface over a framework of our own, with defects on
// request. Options are named as Marathon's.
#include <pthread.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <csignal>

#include "tests/calibration/scheduler/program.h"

namespace zq::scheduler {
namespace {

constexpr int kUsage = 64;

// A plain number is in `unit`, as Marathon's flags and /v2/info have it; "10s" says its own.
Result<Nanos> parse_time(const std::string& text, Nanos unit) {
  long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size() && number >= 0) return unit * number;
  return parse_duration(text);
}

class TimeOptions {
 public:
  explicit TimeOptions(CLI::App& app) : app_(app) {}

  void add(const std::string& name, Nanos& value, const std::string& what,
           Nanos unit = std::chrono::milliseconds(1)) {
    app_.add_option_function<std::string>(
            name,
            [&value, unit, name](const std::string& text) {
              const auto time = parse_time(text, unit);
              if (!time) throw CLI::ValidationError(name, time.error().message);
              value = *time;
            },
            what)
        ->default_str(format_duration(value));
  }

 private:
  CLI::App& app_;
};

void add_times(CLI::App& app, About& about) {
  TimeOptions times(app);
  Timers& timers = about.timers;
  times.add("--zk_session_timeout", about.zk_session_timeout, "Session asked of ZooKeeper");
  times.add("--zk_connection_timeout", about.zk_connection_timeout, "Wait for ZooKeeper at start");
  times.add("--failover_timeout", about.failover_timeout, "Time a new leader has, plain: seconds",
            std::chrono::seconds(1));
  times.add("--reconciliation_interval", timers.reconciliation_interval, "Between reconciliations");
  times.add("--reconciliation_initial_delay", timers.reconciliation_initial_delay, "Of the first");
  times.add("--scale_apps_interval", timers.scale_apps_interval, "Between checks of all targets");
  times.add("--scale_apps_initial_delay", timers.scale_apps_initial_delay, "Of the first");
  times.add("--task_lost_expunge_interval", timers.expunge_interval,
            "Between looks for unreachable instances to forget");
  times.add("--task_lost_expunge_initial_delay", timers.expunge_initial_delay, "Of the first");
  times.add("--min_revive_offers_interval", timers.min_revive_interval, "Between REVIVE calls");
  times.add("--decline_offer_duration", timers.decline_duration, "How long an offer is refused");
  times.add("--kill_retry_timeout", timers.kill_retry, "Until a kill is repeated");
  times.add("--task_launch_confirm_timeout", timers.launch_confirm_timeout,
            "Until a launch that nobody confirms is killed");
  times.add("--task_launch_timeout", timers.launch_timeout, "Until a start that takes is killed");
  times.add("--defect_delay", timers.defect_delay, "How late the defects that act late do");
}

int start(int argc, char** argv) {
  Options options;
  About& about = options.about;
  about.port = 8080;
  std::string defects;
  CLI::App app("A Mesos framework that presents Marathon's REST interface, for calibration");
  app.add_option("--ip", options.ip, "Address to listen on")->capture_default_str();
  app.add_option("--port,--http_port", about.port, "Port to listen on")->capture_default_str();
  app.add_option("--hostname", about.hostname, "Address that others reach us at")->required();
  app.add_option("--zk", about.zk, "zk://HOST:PORT,.../marathon")->required();
  app.add_option("--master", about.master, "zk://HOST:PORT,.../mesos")->required();
  app.add_option("--defect", defects, "NAME[,NAME]: misbehave, see defects.md");
  app.add_option("--max_instances_per_offer", about.timers.max_instances_per_offer,
                 "What one offer may take; 1 spreads an app over the agents that offer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_times(app, about);
  CLI11_PARSE(app, argc, argv);

  const auto zk = parse_zookeeper_url(about.zk);
  const auto master = parse_zookeeper_url(about.master);
  const auto chosen = Defects::parse(defects);
  for (const auto& problem : {zk ? "" : zk.error().message, master ? "" : master.error().message,
                              chosen ? "" : chosen.error().message}) {
    if (problem.empty()) continue;
    fmt::print(stderr, "zq-calibration-scheduler: {}\n", problem);
    return kUsage;
  }
  options.zk = *zk;
  options.master = *master;
  options.defects = *chosen;

  // Before any thread: only the main loop takes signals.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("scheduler"));
  spdlog::flush_on(spdlog::level::info);

  Program program(std::move(options));
  if (const auto status = program.run(); !status) {
    fmt::print(stderr, "zq-calibration-scheduler: {}\n", status.error().message);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace zq::scheduler

int main(int argc, char** argv) { return zq::scheduler::start(argc, argv); }
