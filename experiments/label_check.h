// Whether the label values in an expression can ever match on a cluster.
#pragma once

#include <string>
#include <vector>

#include "experiments/cluster.h"
#include "experiments/expression.h"
#include "experiments/toml_reader.h"

namespace zq {

// Reports values of zone, node, from, to, seen_by, from_zone, to_zone, app, system and source that
// the cluster does not have (`selections` are the names from [select]), signals of apps when the
// cluster has none, and `replicas` likewise.
void check_labels(const Expression& expression, const Cluster& cluster,
                  const std::vector<std::string>& selections, TomlReport& report);

}  // namespace zq
