// The ground truth: which instances of an app answer on each node, whatever its scheduler claims.
#include <algorithm>
#include <iterator>

#include "controller/systems/json.h"
#include "controller/systems/placement.h"

namespace zq {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Outcome = zonequake::Observation;
using Unnamed = SeriesBook::Unnamed;

constexpr auto kInterval = 250ms;
constexpr auto kTimeout = 1s;

class CanaryAdapter final : public Adapter {
 public:
  CanaryAdapter(AppSpec app, std::vector<Place> places)
      : app_(std::move(app)),
        id_(fmt::format("{}/canary/{}", app_.system, app_.name)),
        places_(std::move(places)) {}

  std::vector<NodeProbe> probes() const override {
    std::vector<NodeProbe> probes;
    for (const Place& place : places_) {
      NodeProbe probe = new_probe(place, id_, kInterval, kTimeout);
      auto& canary = *probe.probe.mutable_canary();
      canary.set_host("127.0.0.1");
      canary.set_port_first(app_.port_first);
      canary.set_port_last(app_.port_last);
      canary.set_app(app_.name);
      probes.push_back(std::move(probe));
    }
    return probes;
  }

  std::vector<Sample> interpret(const Answer& answer) override {
    const Place* const place = find_place(places_, answer.node);
    if (place == nullptr || answer.probe != id_) return {};
    const auto found = instances(answer.observation);
    const auto series = [&](const std::string& instance) {
      return SeriesId{"app.answers", Labels{{"app", app_.name},
                                            {"instance", instance},
                                            {"node", place->name},
                                            {"zone", place->zone}}};
    };
    // The series without an instance says that the node is watched: it is 0 while it is, so that a
    // sum over silent nodes is unknown and a sum over empty ones is zero.
    if (!found) {
      return book_.settle(answer, {{series(""), std::nullopt}}, Unnamed::kUnknown);
    }
    SeriesValues named{{series(""), 0.0}};
    for (const std::string& instance : *found) named[series(instance)] = 1;
    return book_.settle(answer, named, Unnamed::kGone);
  }

  std::map<std::string, Timer> timers() const override { return {}; }
  bool ready() const override { return true; }
  std::string version() const override { return {}; }
  std::optional<NodeId> leader() const override { return std::nullopt; }
  std::vector<NodeId> voters() const override { return {}; }

 private:
  // Those that answer; nothing when it cannot be told. An entry without an instance is a port that
  // hangs: whoever answered there before does not now.
  std::optional<std::vector<std::string>> instances(
      const zonequake::Observation& observation) const {
    if (observation.outcome() == Outcome::REFUSED) return std::vector<std::string>{};
    if (observation.outcome() != Outcome::ANSWER) return std::nullopt;
    const json root = parse_json(observation.body());
    if (!root.is_array()) return std::nullopt;
    std::vector<std::string> found;
    for (const json& entry : root) {
      const auto instance = json_string(entry, {"instance"});
      if (!instance || instance->empty()) continue;
      if (json_string(entry, {"app"}).value_or(app_.name) != app_.name) continue;
      found.push_back(*instance);
    }
    return found;
  }

  AppSpec app_;
  std::string id_;
  std::vector<Place> places_;
  SeriesBook book_;
};

}  // namespace

std::unique_ptr<Adapter> make_canary_adapter(const Cluster& cluster, const AppSpec& app) {
  // Wherever the system runs, and not only on its agents: a copy that turns up elsewhere counts.
  std::vector<Place> places;
  const SystemSpec* const system = cluster.find_system(app.system);
  if (system == nullptr) return std::make_unique<CanaryAdapter>(app, std::move(places));
  places = node_places(cluster, *system);
  // What Marathon runs, it runs on agents of Mesos.
  for (const SystemSpec& other : cluster.systems) {
    if (system->kind != "marathon" || other.kind != "mesos") continue;
    std::ranges::move(node_places(cluster, other), std::back_inserter(places));
  }
  std::ranges::sort(places, {}, &Place::id);
  const auto same = [](const Place& a, const Place& b) { return a.id == b.id; };
  places.erase(std::unique(places.begin(), places.end(), same), places.end());
  return std::make_unique<CanaryAdapter>(app, std::move(places));
}

}  // namespace zq
