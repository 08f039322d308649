// A run as JSON; private to results/.
#pragma once

#include <nlohmann/json.hpp>

#include "results/store.h"

namespace zq {

[[nodiscard]] nlohmann::json header_json(const RunRecord& run);

struct DocumentParts {
  bool texts = false;   // experiment, cluster, plan, node dumps
  bool series = false;  // samples
};
Result<nlohmann::json> run_document(const Store& store, RunId run, DocumentParts parts);

// Invalid UTF-8 becomes U+FFFD.
[[nodiscard]] std::string dump_json(const nlohmann::json& document);

}  // namespace zq
