// Every file under tests/bad_input is refused, with exactly the messages and positions that its
// first lines ask for:
//
//   # expect 7:3 "unknown key 'adress'"
//   # cluster example_real_cluster.toml      (experiments only; default: example_cluster.toml)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "experiments/experiment.h"

namespace zq {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = ZQ_SOURCE_DIR;

struct BadFile {
  fs::path path;
  std::string text;
  std::string cluster = "example_cluster.toml";
  struct Problem {
    std::string position;  // "LINE:COLUMN"
    std::string fragment;
  };
  std::vector<Problem> expected;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string read_all(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

BadFile read_bad_file(const fs::path& path) {
  BadFile file;
  file.path = path;
  file.text = read_all(path);
  const std::string expect = "# expect ";
  const std::string cluster = "# cluster ";
  for (const std::string& line : lines_of(file.text)) {
    if (line.starts_with(cluster)) file.cluster = line.substr(cluster.size());
    if (!line.starts_with(expect)) continue;
    const auto open = line.find('"');
    const auto close = line.rfind('"');
    if (open == std::string::npos || close == open) {
      ADD_FAILURE() << path << ": expected # expect LINE:COLUMN \"...\", but found " << line;
      continue;
    }
    file.expected.push_back({line.substr(expect.size(), open - expect.size() - 1),
                             line.substr(open + 1, close - open - 1)});
  }
  return file;
}

std::vector<fs::path> files_in(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(kSource / "tests/bad_input" / folder)) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Success if nothing was found wrong with the file.
Status check_file(const BadFile& file) {
  const std::string name = file.path.filename();
  if (file.path.parent_path().filename() == "cluster") {
    ZQ_TRY(const Cluster cluster, parse_cluster(file.text, name));
    return {};
  }
  ZQ_TRY(const Experiment experiment, parse_experiment(file.text, name));
  const fs::path path = kSource / "tests/unit/experiments" / file.cluster;
  const auto cluster = parse_cluster(read_all(path), path);
  EXPECT_TRUE(cluster) << cluster.error().message;
  return cluster ? check_against(experiment, *cluster) : Status{};
}

void expect_refused(const BadFile& file) {
  SCOPED_TRACE(file.path.string());
  ASSERT_FALSE(file.expected.empty()) << "the file does not say what to expect";
  const Status status = check_file(file);
  ASSERT_FALSE(status) << "the file was accepted";
  EXPECT_EQ(status.error().code, ErrorCode::kInput);
  const auto problems = lines_of(status.error().message);
  ASSERT_EQ(problems.size(), file.expected.size()) << status.error().message;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    const std::string place = file.path.filename().string() + ":" + file.expected[i].position;
    EXPECT_THAT(problems[i], testing::StartsWith(place + ": "));
    EXPECT_THAT(problems[i], testing::HasSubstr(file.expected[i].fragment));
  }
}

TEST(BadInput, ClusterFilesAreRefusedAtTheRightPlace) {
  for (const fs::path& path : files_in("cluster")) expect_refused(read_bad_file(path));
}

TEST(BadInput, ExperimentFilesAreRefusedAtTheRightPlace) {
  for (const fs::path& path : files_in("experiment")) expect_refused(read_bad_file(path));
}

TEST(BadInput, CoversEnoughCases) {
  EXPECT_GE(files_in("cluster").size(), 40U);
  EXPECT_GE(files_in("experiment").size(), 40U);
}

// What is cut off or flipped anywhere must be read or refused, never crash; the sanitizer build
// runs this, too.
TEST(BadInput, DamagedFilesAreReadOrRefused) {
  const fs::path folder = kSource / "tests/unit/experiments";
  const std::string cluster = read_all(folder / "example_cluster.toml");
  const std::string experiment = read_all(folder / "example_experiment.toml");
  std::size_t refused = 0;
  for (const bool is_cluster : {true, false}) {
    const std::string& text = is_cluster ? cluster : experiment;
    for (std::size_t at = 0; at < text.size(); at += 7) {
      std::string flipped = text;
      flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ (1U << (at % 8)));
      for (const std::string& damaged : {flipped, text.substr(0, at)}) {
        const bool read = is_cluster ? parse_cluster(damaged, "f").has_value()
                                     : parse_experiment(damaged, "f").has_value();
        if (!read) ++refused;
      }
    }
  }
  EXPECT_GT(refused, 500U);
}

}  // namespace
}  // namespace zq
