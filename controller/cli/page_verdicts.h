// The page, sentence by sentence, and what runs in a store say of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "experiments/page.h"
#include "results/store.h"

namespace zq {

// All runs of one experiment on one cluster of one version.
struct PageSeries {
  std::string experiment;
  std::string cluster;
  std::string version;  // "swarm 20.10.24"; of all systems
  RunId newest = 0;
  RunVerdict verdict = RunVerdict::kRunning;  // of the newest
  std::size_t runs = 0;
  std::size_t same = 0;  // of these, with the same verdict as the newest
};

struct PageRow {
  PageStatement statement;
  std::vector<PageSeries> series;  // by cluster, version and experiment
};

// Runs belong to the experiment that their file is named after.
Result<std::vector<PageRow>> page_verdicts(const PageTable& page, const Store* store);

[[nodiscard]] std::string page_text(const std::vector<PageRow>& rows, bool color);
[[nodiscard]] std::string page_markdown(const std::vector<PageRow>& rows);
[[nodiscard]] std::string page_json(const std::vector<PageRow>& rows);

}  // namespace zq
