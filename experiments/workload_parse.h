// [[workload]] of an experiment file.
#pragma once

#include <string>
#include <vector>

#include "experiments/experiment.h"
#include "experiments/toml_reader.h"

namespace zq {

// `selections` are the names of [select], for the selectors of bulk workloads.
std::vector<Workload> read_workloads(TomlTable& root, const std::vector<std::string>& selections);

}  // namespace zq
