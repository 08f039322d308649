#include "experiments/system_kind.h"

#include <algorithm>
#include <array>

namespace zq {
namespace {

struct Kind {
  std::string_view name;
  bool scheduler = false, masters = false, coordinator = false, writes = false;
  Voters voters = Voters::kNobody;
};

constexpr std::array kKinds{
    Kind{.name = "swarm", .scheduler = true, .masters = true, .voters = Voters::kMasters},
    Kind{.name = "pacemaker", .scheduler = true, .masters = true, .voters = Voters::kMasters},
    Kind{.name = "mesos", .masters = true, .voters = Voters::kMasters},
    Kind{.name = "marathon", .scheduler = true},
    Kind{.name = "zookeeper", .coordinator = true, .writes = true, .voters = Voters::kAll},
    Kind{.name = "etcd", .coordinator = true, .writes = true, .voters = Voters::kAll},
    Kind{.name = "redis-sentinel", .coordinator = true, .writes = true, .voters = Voters::kAll},
};

Kind find_kind(std::string_view name) {
  const auto* const found = std::ranges::find(kKinds, name, &Kind::name);
  return found == kKinds.end() ? Kind{} : *found;
}

}  // namespace

const std::vector<std::string>& system_kinds() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    names.reserve(kKinds.size());
    for (const Kind& kind : kKinds) names.emplace_back(kind.name);
    return names;
  }();
  return kNames;
}

bool runs_apps(std::string_view kind) { return find_kind(kind).scheduler; }

bool has_masters(std::string_view kind) { return find_kind(kind).masters; }

bool coordinates(std::string_view kind) { return find_kind(kind).coordinator; }

bool takes_writes(std::string_view kind) { return find_kind(kind).writes; }

Voters voters_of_kind(std::string_view kind) { return find_kind(kind).voters; }

bool answers_need(std::string_view kind, std::string_view need) {
  if (need == "scheduler") return runs_apps(kind);
  if (need == "master") return has_masters(kind);
  if (need == "coordinator") return coordinates(kind);
  return kind == need;
}

}  // namespace zq
