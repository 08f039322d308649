// What each node can do, for `zonequake doctor`. Pure: what the agents told in, text out.
#pragma once

#include <string>
#include <vector>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "experiments/cluster.h"

namespace zq {

struct NodeDiagnosis {
  std::string node;
  std::string address;  // of its agent; empty = it has none
  std::string error;    // why it could not be asked
  zonequake::DescribeReply reply;

  // What keeps experiments from running there, a sentence each.
  [[nodiscard]] std::vector<std::string> problems() const;
};

// One for each node, in the cluster's order. `addresses` and `replies` are by node.
[[nodiscard]] std::vector<NodeDiagnosis> diagnose(
    const Cluster& cluster, const std::vector<std::string>& addresses,
    std::vector<Result<zonequake::DescribeReply>> replies);

// "veth0: fq_codel", from the text of a dump.
[[nodiscard]] std::vector<std::string> root_qdiscs(const std::string& dump);

// Nodes that are alike in everything are shown together.
[[nodiscard]] std::string render_diagnosis(const std::vector<NodeDiagnosis>& nodes);
[[nodiscard]] std::string diagnosis_json(const std::vector<NodeDiagnosis>& nodes);

}  // namespace zq
