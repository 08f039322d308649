#include "tests/calibration/scheduler/constraint.h"

#include <gtest/gtest.h>

namespace zq::scheduler {
namespace {

using nlohmann::json;

Place at(const std::string& host, const std::string& zone) {
  return {host, "r1", zone, {{"rack", "k" + zone}}};
}

bool allows(const json& constraint, const Place& offer, const std::vector<Place>& placed = {}) {
  const auto parsed = Constraint::parse(constraint);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed && parsed->allows(offer, placed);
}

TEST(Constraint, UniqueTakesEachValueOnce) {
  EXPECT_TRUE(allows({"hostname", "UNIQUE"}, at("h1", "a"), {at("h2", "a")}));
  EXPECT_FALSE(allows({"hostname", "UNIQUE"}, at("h1", "a"), {at("h2", "a"), at("h1", "b")}));
}

TEST(Constraint, ClusterKeepsToOneValue) {
  EXPECT_TRUE(allows({"@zone", "CLUSTER", "a"}, at("h1", "a")));
  EXPECT_FALSE(allows({"@zone", "CLUSTER", "a"}, at("h1", "b")));
  EXPECT_TRUE(allows({"rack", "CLUSTER"}, at("h1", "b")));
  EXPECT_FALSE(allows({"rack", "CLUSTER"}, at("h1", "b"), {at("h2", "a")}));
}

TEST(Constraint, IsLikeAndUnlikeCompareTheWholeValue) {
  EXPECT_TRUE(allows({"@region", "IS", "r1"}, at("h1", "a")));
  EXPECT_FALSE(allows({"@region", "IS", "r"}, at("h1", "a")));
  EXPECT_TRUE(allows({"hostname", "LIKE", "h[12]"}, at("h1", "a")));
  EXPECT_FALSE(allows({"hostname", "LIKE", "h"}, at("h1", "a")));
  EXPECT_FALSE(allows({"@zone", "UNLIKE", "a|b"}, at("h1", "a")));
  EXPECT_TRUE(allows({"@zone", "UNLIKE", "a|b"}, at("h1", "c")));
}

TEST(Constraint, AMissingFieldFitsOnlyUnlike) {
  Place bare{"h1", std::nullopt, std::nullopt, {}};
  EXPECT_FALSE(allows({"@zone", "IS", "a"}, bare));
  EXPECT_FALSE(allows({"rack", "UNIQUE"}, bare));
  EXPECT_TRUE(allows({"rack", "UNLIKE", "ka"}, bare));
}

TEST(Constraint, GroupByGrowsTheSmallestGroup) {
  const std::vector<Place> placed{at("h1", "a"), at("h1", "a"), at("h2", "b")};
  EXPECT_FALSE(allows({"@zone", "GROUP_BY"}, at("h1", "a"), placed));
  EXPECT_TRUE(allows({"@zone", "GROUP_BY"}, at("h2", "b"), placed));
  EXPECT_TRUE(allows({"@zone", "GROUP_BY"}, at("h3", "c"), placed));
}

// The trap of the facts: with as many groups as there are zones, a lost zone stalls the app.
TEST(Constraint, GroupByOfThreeWaitsForTheThirdGroup) {
  const std::vector<Place> placed{at("h1", "a"), at("h1", "a"), at("h2", "b"), at("h2", "b")};
  EXPECT_FALSE(allows({"@zone", "GROUP_BY", "3"}, at("h1", "a"), placed));
  EXPECT_FALSE(allows({"@zone", "GROUP_BY", "3"}, at("h2", "b"), placed));
  EXPECT_TRUE(allows({"@zone", "GROUP_BY", "3"}, at("h3", "c"), placed));
  EXPECT_TRUE(allows({"@zone", "GROUP_BY", "2"}, at("h1", "a"), placed));
}

TEST(Constraint, MaxPerCounts) {
  const std::vector<Place> placed{at("h1", "a"), at("h2", "a"), at("h3", "b")};
  EXPECT_FALSE(allows({"@zone", "MAX_PER", "2"}, at("h1", "a"), placed));
  EXPECT_TRUE(allows({"@zone", "MAX_PER", "2"}, at("h3", "b"), placed));
  EXPECT_TRUE(allows({"@zone", "MAX_PER", "2"}, at("h4", "c"), placed));
}

TEST(Constraint, WrongOnesAreRefused) {
  for (const json& wrong :
       {json({"zone"}), json({"zone", "NEAR"}), json({"zone", "MAX_PER", "many"}),
        json({"zone", "IS"}), json({"zone", "UNIQUE", "a"}), json("zone"), json({1, 2})}) {
    EXPECT_FALSE(Constraint::parse(wrong)) << wrong;
  }
  const json right = {"@zone", "GROUP_BY", "3"};
  EXPECT_EQ(Constraint::parse(right)->to_json(), right);
}

}  // namespace
}  // namespace zq::scheduler
