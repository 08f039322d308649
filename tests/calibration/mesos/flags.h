// Command-line options in Mesos' forms: "10secs", "1/20mins", "region/zone".
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "agent/base/time.h"

namespace zq::calibration {

// Options that /flags shows again as they were given.
class Flags {
 public:
  explicit Flags(CLI::App& app) : app_(app) {}

  // `text` holds the default.
  void add(const std::string& name, std::string& text, const std::string& what);
  void add_time(const std::string& name, Nanos& value, const std::string& otherwise,
                const std::string& what);
  [[nodiscard]] std::map<std::string, std::string> shown() const;

 private:
  CLI::App& app_;
  std::map<std::string, std::string> times_;
  std::map<std::string, std::string*> texts_;
};

// Blocks SIGTERM and SIGINT, ignores SIGPIPE and logs to standard error.
void prepare_process(const std::string& name);

}  // namespace zq::calibration
