#include "tests/calibration/mesos/flags.h"

#include <pthread.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>

#include "controller/systems/mesos_answers.h"

namespace zq::calibration {

void Flags::add(const std::string& name, std::string& text, const std::string& what) {
  texts_[name] = &text;
  app_.add_option("--" + name, text, what)->capture_default_str();
}

void Flags::add_time(const std::string& name, Nanos& value, const std::string& otherwise,
                     const std::string& what) {
  times_[name] = otherwise;
  value = from_seconds(parse_mesos_duration(otherwise).value_or(0));
  app_.add_option_function<std::string>(
          "--" + name,
          [this, name, &value](const std::string& text) {
            const auto seconds = parse_mesos_duration(text);
            if (!seconds) {
              throw CLI::ValidationError("--" + name, "'" + text + "' is no time such as 10secs");
            }
            value = from_seconds(*seconds);
            times_[name] = text;
          },
          what)
      ->default_str(otherwise);
}

std::map<std::string, std::string> Flags::shown() const {
  std::map<std::string, std::string> all = times_;
  for (const auto& [name, text] : texts_) {
    if (!text->empty()) all[name] = *text;
  }
  return all;
}

void prepare_process(const std::string& name) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  spdlog::set_default_logger(spdlog::stderr_logger_mt(name));
  spdlog::flush_on(spdlog::level::info);
}

}  // namespace zq::calibration
