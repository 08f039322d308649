#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "controller/systems/mesos_answers.h"
#include "tests/calibration/mesos/candidacy.h"
#include "tests/calibration/mesos/defects.h"
#include "tests/calibration/mesos/registrar.h"
#include "tests/calibration/mesos/resources.h"

namespace zq::calibration {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

json agent_info(const std::string& id) {
  return {{"id", {{"value", id}}}, {"hostname", "host-" + id}};
}

class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "zq-replica-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~Directory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] std::string replica() const { return path_ / "replica.json"; }

 private:
  std::filesystem::path path_;
};

TEST(CalibrationRegistry, IsReadAsMesosIs) {
  Registry registry;
  EXPECT_EQ(registry.to_json(), json::object()) << "as followers show it";
  registry.master = {{"id", "m"}};
  registry.admit("S1", agent_info("S1"));
  registry.admit("S2", agent_info("S2"));
  registry.admit("S3", agent_info("S3"));
  registry.mark_unreachable("S2", 7);
  registry.mark_gone("S3", 8);
  const auto read = parse_mesos_registry(registry.to_json().dump());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->admitted, (std::map<std::string, std::string>{{"S1", "host-S1"}}));
  EXPECT_EQ(read->unreachable, std::set<std::string>{"S2"});
  EXPECT_EQ(read->gone, std::set<std::string>{"S3"});

  Registry again = Registry::from_json(registry.to_json());
  EXPECT_EQ(again.to_json(), registry.to_json());
  again.admit("S2", agent_info("S2"));
  EXPECT_TRUE(again.unreachable.empty());
  EXPECT_TRUE(again.slaves.contains("S2"));
}

TEST(CalibrationReplica, RefusesWhatIsOlderThanItsPromise) {
  const Directory directory;
  auto replica = Replica::open(directory.replica());
  ASSERT_TRUE(replica);
  EXPECT_TRUE((*replica)->promise(5).granted);
  EXPECT_FALSE((*replica)->promise(5).granted);
  EXPECT_FALSE((*replica)->write(4, 1, {{"a", 1}}).granted);
  EXPECT_TRUE((*replica)->write(5, 1, {{"a", 2}}).granted);
  const Vote newer = (*replica)->promise(9);
  EXPECT_TRUE(newer.granted);
  EXPECT_EQ(newer.value, (json{{"a", 2}}));
  EXPECT_EQ(newer.accepted, 5U);
  const Vote stale = (*replica)->write(5, 2, {{"a", 3}});
  EXPECT_FALSE(stale.granted);
  EXPECT_EQ(stale.promised, 9U);

  // Promises and values outlive the process.
  auto later = Replica::open(directory.replica());
  ASSERT_TRUE(later);
  EXPECT_FALSE((*later)->write(8, 2, {{"a", 4}}).granted);
  EXPECT_EQ((*later)->promise(10).value, (json{{"a", 2}}));
  std::ofstream(directory.replica()) << "not ours";
  EXPECT_FALSE(Replica::open(directory.replica()));
}

struct Ended : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST(CalibrationRegistrar, StoresAndFindsAgainWhatAMajorityHas) {
  const Directory directory;
  auto replica = Replica::open(directory.replica());
  ASSERT_TRUE(replica);
  const auto fatal = [](const std::string& why) { throw Ended(why); };
  const auto nobody = [] { return std::vector<std::string>{}; };
  Registrar::Settings settings;
  settings.fetch_timeout = std::chrono::milliseconds(300);
  {
    Registrar registrar(**replica, settings, nobody, fatal);
    EXPECT_FALSE(registrar.recovered());
    registrar.recover({{"id", "m1"}});
    registrar.apply([](Registry& registry) { registry.admit("S1", agent_info("S1")); });
    EXPECT_TRUE(registrar.registry().slaves.contains("S1"));
  }
  {
    Registrar registrar(**replica, settings, nobody, fatal);
    registrar.recover({{"id", "m2"}});
    EXPECT_TRUE(registrar.registry().slaves.contains("S1"));
    EXPECT_EQ(registrar.registry().master, (json{{"id", "m2"}}));
  }
  {
    settings.forgets_agents = true;
    Registrar registrar(**replica, settings, nobody, fatal);
    registrar.recover({{"id", "m3"}});
    EXPECT_TRUE(registrar.registry().slaves.empty()) << "the defect";
    settings.forgets_agents = false;
  }
  settings.quorum = 2;
  Registrar registrar(**replica, settings, nobody, fatal);
  try {
    registrar.recover({{"id", "m4"}});
    FAIL() << "one replica of two is no majority";
  } catch (const Ended& ended) {
    EXPECT_THAT(ended.what(), HasSubstr("Failed to perform fetch within"));
  }
}

TEST(CalibrationElection, OrdersCandidatesBySequence) {
  EXPECT_THAT(candidates_in_order({"json.info_0000000010", "log_replicas", "json.info_0000000009"}),
              ElementsAre("json.info_0000000009", "json.info_0000000010"));
}

TEST(CalibrationDefects, AreNamed) {
  const auto defects = Defects::parse("never-marks,wrong-zone");
  ASSERT_TRUE(defects);
  EXPECT_TRUE(defects->has(Defect::kNeverMarks));
  EXPECT_TRUE(defects->has(Defect::kWrongZone));
  EXPECT_FALSE(defects->has(Defect::kStaysLeader));
  const auto unknown = Defects::parse("never-mark");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("never-marks"));
}

TEST(CalibrationResources, AddUpAndAreShownInBothForms) {
  Resources total = parse_resources(json::parse(
      R"([{"name":"cpus","type":"SCALAR","scalar":{"value":2.0}},
          {"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,"end":31002}]}}])"));
  Resources share;
  share.cpus = 0.5;
  share.ports = {31001};
  EXPECT_TRUE(total.contains(share));
  total -= share;
  EXPECT_EQ(flat_resources(total)["ports"], "[31000-31000, 31002-31002]");
  EXPECT_EQ(flat_resources(total)["cpus"], 1.5);
  EXPECT_FALSE(total.contains(share));
  EXPECT_EQ(flat_resources(parse_resources(v1_resources(total, true))), flat_resources(total));
}

}  // namespace
}  // namespace zq::calibration
