#include "experiments/system_kind.h"

namespace zq {

const std::vector<std::string>& system_kinds() {
  static const std::vector<std::string> kKinds{"swarm", "zookeeper", "etcd"};
  return kKinds;
}

bool runs_apps(std::string_view kind) { return kind == "swarm"; }

bool takes_writes(std::string_view kind) { return kind == "zookeeper" || kind == "etcd"; }

}  // namespace zq
