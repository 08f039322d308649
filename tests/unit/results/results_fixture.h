// A store in a directory of its own, and a small recorded run.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>

#include "results/store.h"

namespace zq::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    static std::atomic<unsigned> counter{0};
    path_ = std::filesystem::temp_directory_path() /
            fmt::format("zq-results-{}-{}", getpid(), counter++);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

class ResultsTest : public testing::Test {
 protected:
  void SetUp() override { reopen(); }

  void reopen() {
    store_.reset();
    auto opened = Store::open(path());
    ASSERT_TRUE(opened) << opened.error().message;
    store_.emplace(std::move(*opened));
  }
  [[nodiscard]] std::string path() const { return directory_.file("results.db"); }
  Store& store() { return *store_; }

  static RunRecord record() {
    RunRecord run;
    run.title = "An agent-only zone is partitioned";
    run.caveat = "T1-C2";
    run.experiment_path = "experiments/catalogue/t1-c2.toml";
    run.experiment_text = "title = \"x\"\n";
    run.cluster_name = "swarm-3";
    run.cluster_path = "experiments/clusters/swarm-3.toml";
    run.cluster_text = "[cluster]\n";
    run.labels = {{"release", "7"}, {"team", "platform"}};
    run.variables = {{"replicas", 3}, {"unreachable_max", 7.5}};
    run.versions = {{"swarm", "20.10.24"}};
    run.started_wall_ns = 1'795'559'431'000'000'000;
    run.started_mono_ns = 100'000'000'000;
    run.uncertainty_ns = 40'000;
    const auto identity = own_identity();
    if (!identity) ADD_FAILURE() << identity.error().message;
    run.controller_pid = identity->pid;
    run.controller_start_ticks = identity->start_ticks;
    run.boot_id = identity->boot_id;
    return run;
  }

  RunId begin() {
    auto run = store().begin_run(record());
    if (!run) ADD_FAILURE() << run.error().message;
    return run.value_or(0);
  }

  static Sample sample(double at_seconds, std::optional<double> value,
                       const std::string& zone = "a") {
    return {.signal = "app.answers",
            .labels = {{"app", "web"}, {"zone", zone}},
            .at = MonoTime{from_seconds(at_seconds)},
            .value = value};
  }
  Status add(RunId run, const Sample& sample, Nanos stale_after = std::chrono::seconds(3)) {
    const Store::SeriesSample one{&sample, stale_after};
    return store().add_samples(run, {&one, 1});
  }

 private:
  TemporaryDirectory directory_;
  std::optional<Store> store_;
};

}  // namespace zq::test
