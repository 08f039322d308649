// Every answer of the whole recordings, played through the adapter one situation at a time, and
// what it then says. The project's own copy has a selection of them, which mesos_test.cpp reads.
#include <algorithm>
#include <iostream>
#include <set>
#include <sstream>

#include "controller/systems/mesos_answers.h"
#include "tests/unit/systems/recording.h"

namespace zq::test {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

NodeId node_named(const std::string& name) {
  return static_cast<NodeId>(name[1] - '1') + (name[0] == 'a' ? kA1 : kM1);
}

// What the recorder asked -> the adapter's probe. The others it asked for are not read by us.
const std::map<std::string, std::string>& probes_by_file(bool agent) {
  static const std::map<std::string, std::string> kMaster{{"health", "health"},
                                                          {"api-v1-GET_MASTER", "leader"},
                                                          {"slaves", "agents"},
                                                          {"registrar-registry", "registry"},
                                                          {"state", "tasks"},
                                                          {"metrics-snapshot", "metrics"},
                                                          {"version", "version"},
                                                          {"flags", "master-flags"},
                                                          {"api-v1-SUBSCRIBE", "events"},
                                                          {"api-v1-GET_FRAMEWORKS", "frameworks"}};
  static const std::map<std::string, std::string> kAgent{{"state", "state"},
                                                         {"flags", "agent-flags"}};
  return agent ? kAgent : kMaster;
}

// "HTTP/1.1 307 ...\r\nLocation: //...\r\n": the value of a header, or "".
std::string header_of(const std::string& headers, const std::string& name) {
  std::istringstream lines(headers);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.starts_with(name + ": ")) return line.substr(name.size() + 2);
  }
  return "";
}

Answer recorded_answer(NodeId node, const std::string& probe, const fs::path& base) {
  std::istringstream code(contents(base.string() + ".code"));
  int status = 0;
  double seconds = 0;
  code >> status >> seconds;
  const std::string id = "mesos/" + probe;
  if (status == 0) return silence(node, id, seconds < 1 ? kRefused : kTimedOut);
  Answer told = answer(node, id, contents(base.string() + ".json"), status);
  const std::string location = header_of(contents(base.string() + ".headers"), "Location");
  if (!location.empty()) (*told.observation.mutable_headers())["Location"] = location;
  return told;
}

// The events of a recorded stream, which the recorder cut off at some point.
std::vector<std::string> split_records(const std::string& stream) {
  std::vector<std::string> records;
  for (std::size_t at = 0; at < stream.size();) {
    const auto newline = stream.find('\n', at);
    if (newline == std::string::npos) break;
    const auto length = std::stoul(stream.substr(at, newline - at));
    if (newline + 1 + length > stream.size()) break;
    records.push_back(stream.substr(newline + 1, length));
    at = newline + 1 + length;
  }
  return records;
}

// What the adapter says after all answers of a folder: the newest samples of each series.
class Situation {
 public:
  explicit Situation(const fs::path& folder) : adapter_(adapter_of(recorded_cluster())) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
    std::ranges::sort(files);  // agents come first, so that it is known where they are
    for (const fs::path& file : files) {
      if (file.extension() == ".code") take(file);
    }
  }

  // Samples of the signal with these labels that have the value.
  std::size_t count(const std::string& signal, const Labels& labels,
                    std::optional<double> value) const {
    std::size_t found = 0;
    for (const auto& [key, told] : newest_) {
      const bool matches = std::ranges::all_of(labels, [&](const auto& label) {
        const auto own = key.second.find(label.first);
        return own != key.second.end() && own->second == label.second;
      });
      if (key.first == signal && matches && told == value) ++found;
    }
    return found;
  }
  std::size_t answers() const { return answers_; }
  // The master's own node was asked, not only a client.
  bool has_own_view(const std::string& master) const { return !clients_view_.contains(master); }
  Adapter& adapter() { return *adapter_; }

 private:
  void take(const fs::path& code_file) {
    const fs::path base = fs::path(code_file).replace_extension();
    const std::string name = base.filename();
    ++answers_;
    if (name.starts_with("c-sees")) return take_clients_view(base, name.substr(7));
    const auto& probes = probes_by_file(name[0] == 'a');
    const auto probe = probes.find(name.substr(3));
    const std::string body = contents(base.string() + ".json");
    const Answer told =
        recorded_answer(node_named(name), probe == probes.end() ? "" : probe->second, base);
    const bool is_stream = name.ends_with("SUBSCRIBE");
    if (told.observation.status() == 200 && !body.empty() && !is_stream) {
      EXPECT_FALSE(nlohmann::json::parse(body, nullptr, false).is_discarded()) << base;
    }
    if (probe == probes.end()) return;
    if (!is_stream || told.observation.status() != 200) return interpret(told);
    const auto records = split_records(body);
    EXPECT_FALSE(records.empty()) << base;
    for (const std::string& record : records) {
      interpret(answer(told.node, told.probe, record));
    }
  }
  // "m3-state", asked by a client that reached every master: the only view of masters that were not
  // asked on their own nodes.
  void take_clients_view(const fs::path& base, const std::string& name) {
    const fs::path own = base.parent_path() / (name.substr(0, 2) + "-health.code");
    if (fs::exists(own) || !name.ends_with("-state")) return;
    const NodeId node = node_named(name);
    for (const char* const probe : {"agents", "tasks", "leader"}) {
      Answer told = recorded_answer(node, probe, base);
      const std::string body = told.observation.body();
      if (told.observation.status() == 200 && told.probe == "mesos/leader") {
        const auto state = nlohmann::json::parse(body);
        EXPECT_EQ(state.at("leader"), state.at("pid"));
        told.observation.set_body(
            nlohmann::json{{"get_master",
                            {{"master_info", {{"id", state.at("id")}, {"pid", state.at("pid")}}},
                             {"elected_time", state.at("elected_time")}}}}
                .dump());
      }
      interpret(told);
    }
    clients_view_.insert(name.substr(0, 2));
  }
  void interpret(const Answer& told) {
    const auto samples = adapter_->interpret(told);
    expect_known_names(samples);
    for (const Sample& sample : samples) newest_[{sample.signal, sample.labels}] = sample.value;
  }

  std::unique_ptr<Adapter> adapter_;
  std::map<std::pair<std::string, Labels>, std::optional<double>> newest_;
  std::set<std::string> clients_view_;
  std::size_t answers_ = 0;
};

struct Recorded {
  const char* folder;
  std::vector<std::string> leaders, others, silent;
  bool a1_unreachable = false;
};

const std::vector<Recorded>& situations() {
  static const std::vector<Recorded> kSituations{
      {"01-healthy", {"m1"}, {"m2", "m3"}, {}},
      {"02-agent-zone-cut/1-cut-30s", {"m1"}, {"m2", "m3"}, {}},
      {"02-agent-zone-cut/2-unreachable-112s", {"m1"}, {"m2", "m3"}, {}, true},
      {"02-agent-zone-cut/3-healed-25s", {"m1"}, {"m2", "m3"}, {}},
      {"03-leader-cut/1-two-leaders-8s", {"m1", "m3"}, {"m2"}, {}},
      {"03-leader-cut/2-after-election", {"m3"}, {"m2"}, {"m1"}},
      {"03-leader-cut/3-old-leader-restarted-still-cut", {"m3"}, {"m1", "m2"}, {}},
      {"03-leader-cut/4-healed", {"m3"}, {"m1", "m2"}, {}}};
  return kSituations;
}

void judge_situation(const Recorded& recorded, Situation& situation) {
  const std::size_t lost = recorded.a1_unreachable ? 1 : 0;
  for (const std::string& leader : recorded.leaders) {
    SCOPED_TRACE(leader);
    EXPECT_EQ(situation.count("master.leads", {{"node", leader}}, 1), 1U);
    const Labels seen{{"seen_by", leader}};
    EXPECT_EQ(situation.count("member.state", seen, 1), 3 - lost);
    EXPECT_EQ(situation.count("member.state", seen, 0), lost);
    if (situation.has_own_view(leader)) {
      EXPECT_EQ(situation.count("master.up", {{"node", leader}}, 1), 1U);
      EXPECT_EQ(situation.count("member.unreachable", seen, 1), lost);
      EXPECT_EQ(situation.count("member.unreachable", seen, 0), 3 - lost);
    }
    // From /state and from the stream alike: they are the same series, and both were played.
    EXPECT_EQ(situation.count("app.instances",
                              {{"source", "master"}, {"state", "running"}, {"seen_by", leader}}, 1),
              6 - 2 * lost);
    for (const char* const state : {"lost", "unreachable"}) {
      EXPECT_EQ(situation.count("app.instances", {{"state", state}, {"seen_by", leader}}, 1), lost);
    }
  }
  for (const std::string& other : recorded.others) {
    SCOPED_TRACE(other);
    EXPECT_EQ(situation.count("master.leads", {{"node", other}}, 0), 1U);
    EXPECT_EQ(situation.count("member.state", {{"seen_by", other}}, std::nullopt), 3U);
    if (!situation.has_own_view(other)) continue;
    EXPECT_EQ(situation.count("master.up", {{"node", other}}, 1), 1U);
    EXPECT_EQ(situation.count("member.unreachable", {{"seen_by", other}}, std::nullopt), 3U);
  }
  for (const std::string& silent : recorded.silent) {
    EXPECT_EQ(situation.count("master.up", {{"node", silent}}, 0), 1U);
    EXPECT_EQ(situation.count("master.leads", {{"node", silent}}, 0), 1U);
  }
}

TEST(RecordedFiles, AreAllReadAndSayWhatWasSo) {
  const auto whole = whole_recordings();
  if (!whole) {
    std::cout << "the whole recordings are not here: nothing but the project's copy was read\n";
    return;
  }
  std::size_t answers = 0;
  for (const Recorded& recorded : situations()) {
    SCOPED_TRACE(recorded.folder);
    Situation situation(*whole / recorded.folder);
    judge_situation(recorded, situation);
    answers += situation.answers();
    // Whatever masters say, the agents' own tasks run on.
    for (const std::string agent : {"a1", "a2", "a3"}) {
      if (!fs::exists(*whole / recorded.folder / (agent + "-state.json"))) continue;
      EXPECT_EQ(situation.count("app.instances",
                                {{"source", "node"}, {"state", "running"}, {"seen_by", agent}}, 1),
                2U)
          << agent;
    }
    if (!situation.adapter().version().empty()) {
      EXPECT_EQ(situation.adapter().version(), "1.12.0");
    }
  }
  EXPECT_GT(answers, 500U);
  std::cout << answers << " recorded answers read\n";
}

// All masters' /state at the same instants: "t13.34-m1.headers", "t13.34-m1-state.json".
std::map<double, std::size_t> leaders_over_time(const fs::path& folder) {
  std::map<double, std::size_t> leaders;
  std::set<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".headers") files.insert(entry.path());
  }
  for (const fs::path& file : files) {
    const std::string name = file.stem();
    const double at = std::stod(name.substr(1));
    leaders[at] += 0;
    if (contents(file).find(" 200 ") == std::string::npos) continue;
    const std::string body = contents(file.parent_path() / (name + "-state.json"));
    const nlohmann::json state = nlohmann::json::parse(body);
    EXPECT_EQ(state.at("leader"), state.at("pid")) << file;
    ++leaders[at];
    // Stale or not, it lists every agent and all tasks.
    const auto adapter = adapter_of(recorded_cluster());
    const auto samples = adapter->interpret(
        answer(node_named(name.substr(name.find('-') + 1)), "mesos/tasks", body));
    EXPECT_EQ(std::ranges::count_if(samples, [](const Sample& s) { return s.value == 1.0; }), 6)
        << file;
    EXPECT_EQ(parse_mesos_agents(body)->size(), 3U) << file;
  }
  return leaders;
}

TEST(RecordedFiles, HoldTwoLeadersInTheWindow) {
  const auto whole = whole_recordings();
  if (!whole) return;  // said above
  std::vector<double> two;
  for (const auto& [at, count] : leaders_over_time(*whole / "04-leader-cut-window")) {
    EXPECT_LE(count, 2U) << at;
    if (count == 2) two.push_back(at);
  }
  EXPECT_EQ(two, (std::vector<double>{13.34, 14.60, 15.97}));
  // The fast one was asked when it was over.
  for (const auto& [at, count] : leaders_over_time(*whole / "05-fast-leader-cut-window")) {
    EXPECT_EQ(count, 1U) << at;
  }
}

}  // namespace
}  // namespace zq::test
