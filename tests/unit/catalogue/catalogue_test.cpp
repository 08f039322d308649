// Every experiment of the catalogue fits clusters of the kinds that it is for, and can be planned
// there.
#include "controller/cli/catalogue.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

namespace zq {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

const fs::path kShipped = ZQ_SOURCE_DIR "/experiments/clusters";
const fs::path kOurs = ZQ_SOURCE_DIR "/tests/unit/catalogue/clusters";

std::vector<CatalogueEntry> catalogue_on(const fs::path& file) {
  const auto cluster = load_cluster(file.string());
  if (!cluster) {
    ADD_FAILURE() << cluster.error().message;
    return {};
  }
  auto entries = read_catalogue({}, &*cluster);
  if (!entries) ADD_FAILURE() << entries.error().message;
  return entries.value_or(std::vector<CatalogueEntry>{});
}

std::set<std::string> names_that_run(const fs::path& file) {
  std::set<std::string> names;
  for (const CatalogueEntry& entry : catalogue_on(file)) {
    if (entry.blast) names.insert(entry.name);
  }
  return names;
}

TEST(Catalogue, EachExperimentIsPlannedOnAClusterOfOurs) {
  std::map<std::string, std::vector<std::string>> why_not;
  std::set<std::string> planned;
  for (const fs::path& folder : {kShipped, kOurs}) {
    for (const auto& file : fs::directory_iterator(folder)) {
      for (const CatalogueEntry& entry : catalogue_on(file.path())) {
        if (entry.blast) planned.insert(entry.name);
        if (entry.blast) continue;
        ASSERT_THAT(entry.why_not, testing::Not(IsEmpty()));
        why_not[entry.name].push_back(file.path().stem().string() + ": " + entry.why_not.front());
      }
    }
  }
  EXPECT_GT(planned.size(), 40U);
  for (const auto& [name, reasons] : why_not) {
    EXPECT_TRUE(planned.contains(name))
        << name << " runs nowhere:\n  " << fmt::format("{}", fmt::join(reasons, "\n  "));
  }
}

TEST(Catalogue, SameFilesRunOnMesosAndOnSwarm) {
  auto one_zone = names_that_run(kShipped / "swarm-one-zone.toml");
  one_zone.erase(
      "t1-c1b-capacity-short");  // reads Swarm's reservations; t1-c1-capacity-short is the other
  const auto cross_zone = names_that_run(kShipped / "swarm-cross-zone.toml");
  EXPECT_GT(one_zone.size(), 10U);
  EXPECT_GT(cross_zone.size(), 5U);
  const auto mesos_one_zone = names_that_run(kOurs / "mesos-one-zone.toml");
  const auto mesos_cross_zone = names_that_run(kOurs / "mesos-cross-zone.toml");
  EXPECT_TRUE(std::ranges::includes(mesos_one_zone, one_zone));
  EXPECT_TRUE(std::ranges::includes(mesos_cross_zone, cross_zone));
}

TEST(Catalogue, SaysShortlyWhatAClusterLacks) {
  for (const CatalogueEntry& entry : catalogue_on(kShipped / "etcd-3.toml")) {
    if (entry.name != "t1-c2-agent-zone-partitioned") continue;
    EXPECT_FALSE(entry.blast);
    EXPECT_THAT(entry.why_not, Contains(HasSubstr("the experiment needs a system of kind")));
    EXPECT_THAT(entry.why_not.front(), testing::Not(HasSubstr(".toml")));
  }
}

TEST(Catalogue, CostsFollowTheTimersThatAreGiven) {
  const auto assumed = read_catalogue({}, nullptr);
  const auto given = read_catalogue({{"unreachable_max", 100}, {"reschedule_max", 50}}, nullptr);
  ASSERT_TRUE(assumed && given);
  ASSERT_EQ(assumed->size(), given->size());
  for (std::size_t i = 0; i < assumed->size(); ++i) {
    const CatalogueEntry& entry = assumed->at(i);
    EXPECT_GT(entry.lasts, Nanos{0});
    EXPECT_THAT(describe_deeds(entry.experiment), testing::Not(IsEmpty()));
    if (entry.name != "t1-c2-agent-zone-partitioned") continue;
    EXPECT_THAT(entry.assumed_timers, testing::UnorderedElementsAre(
                                          "unreachable_max", "reschedule_max", "reregister_max"));
    EXPECT_THAT(given->at(i).assumed_timers, testing::ElementsAre("reregister_max"));
    EXPECT_EQ(given->at(i).lasts - entry.lasts, std::chrono::seconds(100 + 50 - 30 - 30));
    EXPECT_EQ(describe_deeds(entry.experiment), "cuts up to 1 zone");
  }
}

}  // namespace
}  // namespace zq
