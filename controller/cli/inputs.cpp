#include "controller/cli/inputs.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "controller/cli/exit_code.h"
#include "controller/testbed/testbed.h"

namespace zq {

namespace fs = std::filesystem;

std::string data_dir() {
  if (const char* configured = std::getenv("ZONEQUAKE_DATA")) return configured;
  return ZQ_DATA_DIR;
}

Result<std::string> find_experiment(const std::string& name) {
  std::error_code error;
  if (fs::is_regular_file(name, error)) return name;
  if (name.find('/') != std::string::npos || name.ends_with(".toml")) {
    return fail(ErrorCode::kInput, "there is no experiment file {}", name);
  }
  const fs::path catalogue = fs::path(data_dir()) / "catalogue";
  std::vector<std::string> known, matching;
  for (const auto& entry : fs::directory_iterator(catalogue, error)) {
    if (entry.path().extension() != ".toml") continue;
    const std::string stem = entry.path().stem().string();
    known.push_back(stem);
    if (stem == name) return entry.path().string();
    if (stem.find(name) != std::string::npos) matching.push_back(entry.path().string());
  }
  if (matching.size() == 1) return matching.front();
  std::sort(known.begin(), known.end());
  return fail(ErrorCode::kInput,
              "'{}' is neither a file nor {} experiment of the catalogue in {} ({})", name,
              matching.empty() ? "an" : "a single", catalogue.string(), fmt::join(known, ", "));
}

Result<std::vector<Deviation>> known_deviations() {
  const fs::path file = fs::path(data_dir()) / "deviations.toml";
  std::error_code error;
  if (!fs::exists(file, error)) return std::vector<Deviation>{};
  return load_deviations(file.string());
}

std::string default_db() {
  const char* configured = std::getenv("ZONEQUAKE_DB");
  return configured != nullptr ? configured : "zonequake.db";
}

namespace {

// Commands that were begun and whose undo was not.
std::vector<ProcessRecord> undos_due(const std::vector<ProcessRecord>& steps) {
  std::vector<ProcessRecord> due;
  for (const ProcessRecord& step : steps) {
    if (step.undo.empty() || !step.began_mono_ns) continue;
    const bool undone = std::any_of(steps.begin(), steps.end(), [&](const ProcessRecord& other) {
      return other.node == step.node && other.target == step.undo && other.done_mono_ns &&
             other.error.empty() && *other.done_mono_ns >= *step.began_mono_ns;
    });
    if (!undone) due.push_back(step);
  }
  return due;
}

}  // namespace

Result<Store> open_store(const std::string& path) {
  ZQ_TRY(Store store, Store::open(path));
  ZQ_TRY(const std::vector<RunRecord> interrupted, store.mark_interrupted());
  const auto testbeds = Testbed::names();
  for (const RunRecord& run : interrupted) {
    fmt::print(
        stderr,
        "zonequake: run {} ({} {}) was interrupted: its controller is gone. Its nodes heal by "
        "themselves within the lease and orphan time; what it recorded is kept.\n",
        run.id, run.caveat, run.title);
    ZQ_TRY(const std::vector<ProcessRecord> steps, store.processes(run.id));
    for (const ProcessRecord& step : undos_due(steps)) {
      fmt::print(stderr, "zonequake: its step '{}' on {} was begun and not undone; do it now: {}\n",
                 step.step, step.node, step.undo);
    }
    if (testbeds &&
        std::find(testbeds->begin(), testbeds->end(), run.cluster_name) != testbeds->end()) {
      fmt::print(
          stderr,
          "zonequake: its testbed is still up; remove it with: zonequake testbed down --name {}\n",
          run.cluster_name);
    }
  }
  return store;
}

Result<Store> open_existing_store(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    return fail(ErrorCode::kInput,
                "there is no results file {}; name it with --db or ZONEQUAKE_DB, or record a run "
                "first",
                path);
  }
  return open_store(path);
}

Result<std::map<std::string, std::string>> parse_pairs(const std::vector<std::string>& arguments,
                                                       const std::string& option) {
  std::map<std::string, std::string> pairs;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return fail(ErrorCode::kInput, "{} takes KEY=VALUE, not '{}'", option, argument);
    }
    pairs[argument.substr(0, equals)] = argument.substr(equals + 1);
  }
  return pairs;
}

Result<RunId> parse_run_id(const Store& store, const std::string& text) {
  if (text == "last") {
    RunFilter filter;
    filter.limit = 1;
    ZQ_TRY(const std::vector<RunRecord> runs, store.runs(filter));
    if (runs.empty()) return fail(ErrorCode::kNotFound, "the store holds no run yet");
    return runs.front().id;
  }
  RunId run = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), run);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return fail(ErrorCode::kInput, "'{}' is not a run's number; 'zonequake runs' lists them", text);
  }
  return run;
}

int report_error(const Error& error) {
  fmt::print(stderr, "zonequake: {}\n", error.message);
  return exit_code_of(error);
}

}  // namespace zq
