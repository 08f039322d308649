#include "tests/unit/systems/recording.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace zq::test {

using nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr double kEpoch = 1795556000;  // shortly before the first recording

NodeId node_of(const std::string& address) {
  const int last = std::stoi(address.substr(address.rfind('.') + 1));
  return static_cast<NodeId>(last >= 31 ? last - 31 + 3 : last - 21);
}

Answer refusal(NodeId node, const std::string& what) {
  return silence(node, "mesos/" + what, kRefused);
}

// The same as the agents' answers to /slaves, of which the pollers kept who is listed as active.
std::string slaves_body(const json& line, const std::map<std::string, std::string>& ids) {
  json slaves = json::array();
  for (const auto& [address, entry] : line.at("slaves").items()) {
    slaves.push_back({{"id", ids.at(address)},
                      {"hostname", address},
                      {"pid", "slave(1)@" + address + ":5051"},
                      {"active", entry.at(0)}});
  }
  return json{{"slaves", slaves}}.dump();
}

// The pollers kept how many agents were unreachable, and who was not listed.
std::string registry_body(const json& line, const std::map<std::string, std::string>& ids) {
  json admitted = json::array(), unreachable = json::array();
  for (const auto& [address, id] : ids) {
    if (line.at("unreachable").get<double>() > 0 && !line.at("slaves").contains(address)) {
      unreachable.push_back({{"id", {{"value", id}}}});
    } else {
      admitted.push_back({{"info", {{"id", {{"value", id}}}, {"hostname", address}}}});
    }
  }
  return json{{"master", json::object()},
              {"slaves", {{"slaves", admitted}}},
              {"unreachable", {{"slaves", unreachable}}}}
      .dump();
}

json tasks_of(const json& tasks, const std::map<std::string, std::string>& ids) {
  json list = json::array();
  for (const auto& [name, state] : tasks.items()) {
    const std::string address = "10.77.0." + name.substr(name.find('-') + 1);
    list.push_back({{"id", name},
                    {"name", name},
                    {"framework_id", name.substr(0, 2)},
                    {"slave_id", ids.at(address)},
                    {"state", state}});
  }
  return list;
}

std::string state_body(const json& line, const std::map<std::string, std::string>& ids) {
  return json{{"slaves", json::parse(slaves_body(line, ids)).at("slaves")},
              {"frameworks",
               {{{"tasks", tasks_of(line.at("tasks"), ids)},
                 {"unreachable_tasks", tasks_of(line.at("unreachable_tasks"), ids)}}}}}
      .dump();
}

std::string agent_body(const json& line, const std::map<std::string, std::string>& ids) {
  return json{
      {"id", line.at("id")},
      {"frameworks",
       {{{"id", "recorded"}, {"executors", {{{"tasks", tasks_of(line.at("tasks"), ids)}}}}}}}}
      .dump();
}

std::string master_body(const json& line) {
  const std::string address = line.at("who");
  return json{{"get_master",
               {{"master_info",
                 {{"id", address}, {"hostname", address}, {"pid", "master@" + address + ":5050"}}},
                {"elected_time", line.at("elected_time")}}}}
      .dump();
}

// The recorded agents by id, as a snapshot has them.
json agents_snapshot() {
  json agents = json::array();
  for (const auto& [number, address] :
       {std::pair("0", "10.77.0.32"), std::pair("1", "10.77.0.31"), std::pair("2", "10.77.0.33")}) {
    agents.push_back(
        {{"agent_info",
          {{"id", {{"value", std::string("8c072a58-d167-4e91-9d6a-26b47af3da9f-S") + number}}},
           {"hostname", address}}}});
  }
  return {{"get_tasks", json::object()}, {"get_agents", {{"agents", agents}}}};
}

}  // namespace

std::optional<fs::path> whole_recordings() {
  const char* const named = std::getenv("ZQ_RECORDINGS");
  const fs::path root = named != nullptr
                            ? fs::path(named)
                            : fs::path(ZQ_SOURCE_DIR).parent_path() / "shared" / "recordings";
  const fs::path mesos = root / "mesos-1.12";
  std::error_code error;
  if (!fs::is_directory(mesos, error)) return std::nullopt;
  return mesos;
}

MonoTime recorded_at(double unix_seconds) {
  return mono_from_ns(1'000'000'000 + std::llround((unix_seconds - kEpoch) * 1e9));
}

std::vector<PolledLine> read_poll(const fs::path& file) {
  std::ifstream stream(file);
  EXPECT_TRUE(stream.is_open()) << file;
  std::vector<PolledLine> lines;
  for (std::string text; std::getline(stream, text);) {
    json line = json::parse(text);
    lines.push_back({line.at("t"), node_of(line.at("who")), std::move(line)});
  }
  std::ranges::stable_sort(lines, {}, &PolledLine::at);
  return lines;
}

Cluster recorded_cluster() {
  Cluster cluster = mesos_cluster({"np-31", "np-32", "np-33", "pa-31", "pa-32", "pa-33"});
  cluster.systems[0].options["poll"] = "true";
  return cluster;
}

Playback::Playback(const Cluster& cluster) : adapter_(adapter_of(cluster)) {
  for (const NodeProbe& probe : adapter_->probes()) {
    stale_after_[{probe.node, probe.probe.id()}] = probe.stale_after();
  }
}

void Playback::play(const std::vector<PolledLine>& lines) {
  ASSERT_FALSE(lines.empty());
  for (const PolledLine& polled : lines) {
    if (polled.line.contains("id")) agent_ids_[polled.line.at("who")] = polled.line.at("id");
  }
  for (const auto& [key, stale_after] : stale_after_) {
    Answer seed = silence(key.first, key.second, kFailed);
    seed.at = recorded_at(lines.front().at);
    add(adapter_->interpret(seed), stale_after);
  }
  for (const PolledLine& polled : lines) play(polled);
}

void Playback::play(const PolledLine& polled) {
  const json& line = polled.line;
  const NodeId node = polled.node;
  const auto answered = [&](const std::string& what, const std::string& body, int status = 200) {
    tell(polled.at, what, answer(node, "mesos/" + what, body, status));
  };
  if (node >= kA1) {
    ASSERT_EQ(line.at("code"), 200);
    answered("state", agent_body(line, agent_ids_));
    return;
  }
  if (!line.contains("state_code")) {  // nobody listened, or the connection broke
    for (const char* const what : {"health", "leader", "agents", "registry", "tasks"}) {
      tell(polled.at, what, refusal(node, what));
    }
    return;
  }
  const int status = line.at("state_code");
  answered("health", "");
  if (status == 200) {
    answered("leader", master_body(line));
    answered("agents", slaves_body(line, agent_ids_));
    answered("registry", registry_body(line, agent_ids_));
    answered("tasks", state_body(line, agent_ids_));
    return;
  }
  Answer leader = answer(node, "mesos/leader", line.value("body", ""), status);
  if (line.contains("location") && line.at("location").is_string()) {
    (*leader.observation.mutable_headers())["Location"] = line.at("location").get<std::string>();
  }
  tell(polled.at, "leader", leader);
  answered("agents", "", status);
  answered("registry", "{}");
  answered("tasks", "", status);
}

void Playback::tell(double at, const std::string& what, Answer told) {
  told.at = recorded_at(at);
  auto samples = adapter_->interpret(told);
  expect_known_names(samples);
  const auto stale = stale_after_.find({told.node, "mesos/" + what});
  ASSERT_NE(stale, stale_after_.end()) << what;
  add(samples, stale->second);
  newest_[stale->first] = std::move(samples);
}

void Playback::confirm(double at, NodeId node, const std::string& what) {
  const auto newest = newest_.find({node, "mesos/" + what});
  if (newest == newest_.end()) return;
  for (Sample& sample : newest->second) sample.at = recorded_at(at);
  add(newest->second, stale_after_.at(newest->first));
}

// As a run records them: one segment for each value, for as long as it was confirmed.
void Playback::add(const std::vector<Sample>& samples, Nanos stale_after) {
  for (const Sample& sample : samples) {
    Series& series = series_[{sample.signal, sample.labels}];
    series.signal = sample.signal;
    series.labels = sample.labels;
    series.stale_after = stale_after;
    if (!series.segments.empty()) {
      Segment& newest = series.segments.back();
      if (newest.value == sample.value && sample.at - newest.last <= stale_after) {
        newest.last = sample.at;
        continue;
      }
    }
    series.segments.push_back({sample.at, sample.at, sample.value});
  }
}

std::vector<Series> Playback::series() const {
  std::vector<Series> all;
  for (const auto& [key, series] : series_) all.push_back(series);
  return all;
}

void play_events(Playback& playback, const fs::path& file) {
  std::ifstream stream(file);
  ASSERT_TRUE(stream.is_open()) << file;
  std::optional<NodeId> master;  // whose stream is open
  json framework;
  for (std::string text; std::getline(stream, text);) {
    const json line = json::parse(text);
    const double at = line.at("t");
    const json& data = line.at("data");
    const auto tell = [&](const json& event) {
      playback.tell(at, "events", answer(*master, "mesos/events", event.dump()));
    };
    // The stream lives until it says otherwise.
    if (master) {
      const double last = at - 0.001;
      for (double seen = at - std::fmod(at, 1.0) - 120; seen < last; seen += 1) {
        playback.confirm(seen, *master, "events");
      }
      playback.confirm(last, *master, "events");
    }
    if (line.at("kind") == "disconnected") {
      playback.tell(at, "events", refusal(master.value(), "events"));
      master.reset();
    }
    if (line.at("kind") != "event") {
      if (line.at("kind") == "subscribed_http") master = node_of(data.at("host"));
      continue;
    }
    ASSERT_TRUE(master) << text;
    if (data.at("type") == "SUBSCRIBED") {
      framework = data.at("subscribed").at("framework_id");
      tell({{"type", "SUBSCRIBED"}, {"subscribed", {{"get_state", agents_snapshot()}}}});
    }
    if (data.at("type") == "UPDATE") {
      const json& status = data.at("update").at("status");
      tell({{"type", "TASK_UPDATED"},
            {"task_updated",
             {{"framework_id", framework}, {"status", status}, {"state", status.at("state")}}}});
    }
  }
}

}  // namespace zq::test
