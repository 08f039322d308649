// The example files of this directory.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "experiments/cluster.h"
#include "experiments/experiment.h"

namespace zq::testing_files {

inline std::string path_of(const std::string& name) {
  return std::string(ZQ_SOURCE_DIR "/tests/unit/experiments/") + name;
}

inline std::string read(const std::string& name) {
  std::ifstream file(path_of(name), std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline Cluster example_cluster() {
  auto cluster = parse_cluster(read("example_cluster.toml"), "/files/clusters/example.toml");
  EXPECT_TRUE(cluster) << cluster.error().message;
  return cluster ? *cluster : Cluster{};
}

inline Experiment example_experiment() {
  auto experiment = parse_experiment(read("example_experiment.toml"), "t1-c2.toml");
  EXPECT_TRUE(experiment) << experiment.error().message;
  return experiment ? *experiment : Experiment{};
}

// `text` with its first `from` replaced by `to`.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

}  // namespace zq::testing_files
