#include "controller/systems/tcp_terms.h"

#include <algorithm>

#include "controller/systems/constants.h"
#include "controller/systems/zookeeper_answers.h"

namespace zq {
namespace {

using namespace std::chrono_literals;

constexpr auto kInterval = 30s;
constexpr auto kTimeout = 3s;

}  // namespace

TcpTerms::TcpTerms(const std::string& system, std::vector<Place> places)
    : id_(system + "/tcp"), places_(std::move(places)) {}

std::vector<NodeProbe> TcpTerms::probes() const {
  std::vector<NodeProbe> probes;
  for (const Place& place : places_) {
    probes.push_back(new_probe(place, id_, kInterval, kTimeout));
    probes.back().probe.mutable_exec()->add_argv("/bin/cat");
    probes.back().probe.mutable_exec()->add_argv("/proc/sys/net/ipv4/tcp_rto_max_ms");
  }
  return probes;
}

bool TcpTerms::learn(const Answer& answer) {
  if (answer.probe != id_) return false;
  if (answer.observation.outcome() != zonequake::Observation::ANSWER) return true;
  // Kernels without the sysctl have the constant.
  const auto milliseconds = answer.observation.status() == 0
                                ? parse_whole_number(answer.observation.body())
                                : std::nullopt;
  rto_max_[answer.node] = milliseconds ? *milliseconds / 1000 : kTcpRtoMax;
  return true;
}

std::optional<double> TcpTerms::rto_max() const {
  std::optional<double> longest;
  for (const auto& [node, seconds] : rto_max_) {
    longest = std::max(longest.value_or(0), seconds);
  }
  return longest;
}

}  // namespace zq
