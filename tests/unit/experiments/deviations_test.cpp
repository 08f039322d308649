#include "experiments/deviations.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

namespace zq {
namespace {

using testing::HasSubstr;

TEST(Deviations, VersionsAreComparedNumberByNumber) {
  const auto deviations = parse_deviations(
      "[[deviation]]\nid = \"A\"\nsystem = \"marathon\"\nversions = \"1.4.0..1.8.194\"\n"
      "experiments = [\"x\"]\nexpectation = \"e\"\nnote = \"n\"\n"
      "instead = { eventually = \"sum(app.answers) > replicas\", within = \"10s\", for = \"2s\" }\n"
      "[[deviation]]\nid = \"B\"\nsystem = \"swarm\"\nversions = \"17.06..\"\n"
      "experiments = [\"x\"]\nexpectation = \"e\"\nnote = \"n\"\n"
      "instead = { always = \"sum(app.answers) > replicas\" }\n",
      "d.toml");
  ASSERT_TRUE(deviations) << deviations.error().message;
  const VersionRange& range = deviations->front().versions;
  for (const char* inside : {"1.4", "1.4.0", "1.8.193", "1.7.216", "1.8.2-SNAPSHOT"}) {
    EXPECT_TRUE(range.contains(inside)) << inside;
  }
  for (const char* outside : {"1.3.9", "1.8.194", "1.8.1940", "1.10", "2", "", "unknown"}) {
    EXPECT_FALSE(range.contains(outside)) << outside;
  }
  EXPECT_EQ(deviations->front().instead.hold, std::chrono::seconds(2));
  EXPECT_TRUE(deviations->back().versions.contains("20.10.24+dfsg1"));
  EXPECT_FALSE(deviations->back().versions.contains("1.13.1"));
}

TEST(Deviations, BadInputIsNamedWithItsPlace) {
  struct Case {
    const char* text;
    const char* message;
  };
  for (const Case& one : {
           Case{"versions = \"1.4\"", "'1.4' is no range of versions"},
           Case{"versions = \"..\"", "'..' is no range of versions"},
           Case{"versions = \"1.x..2\"", "'1.x..2' is no range of versions"},
           Case{"versions = \"2..1.9\"", "no version is in '2..1.9'"},
           Case{"system = \"maraton\"", "did you mean 'marathon'?"},
           Case{"experiments = []", "names no experiment"},
           Case{"instead = { always = \"1 > 0\", never = \"1 > 0\" }", "has 2 statements"},
           Case{"instead = { eventually = \"sum(app.answers) > 1\" }", "'within'"},
           Case{"instead = { always = \"sum(app.answer) > 1\" }",
                "there is no signal 'app.answer'"},
           Case{"sytem = \"swarm\"", "'sytem'"},
       }) {
    const auto refused =
        parse_deviations(std::string("[[deviation]]\n") + one.text + "\n", "d.toml");
    ASSERT_FALSE(refused) << one.text;
    EXPECT_EQ(refused.error().code, ErrorCode::kInput);
    EXPECT_THAT(refused.error().message, HasSubstr("d.toml:"));
    EXPECT_THAT(refused.error().message, HasSubstr(one.message));
  }
}

// Each names expectations that are there, and describes something else than they do.
TEST(Deviations, ShippedOnesFitTheCatalogue) {
  const std::filesystem::path folder = ZQ_SOURCE_DIR "/experiments";
  const auto deviations = load_deviations(folder / "deviations.toml");
  ASSERT_TRUE(deviations) << deviations.error().message;
  ASSERT_FALSE(deviations->empty());
  for (const Deviation& deviation : *deviations) {
    for (const std::string& name : deviation.experiments) {
      SCOPED_TRACE(deviation.id + " of " + name);
      const auto experiment = load_experiment(folder / "catalogue" / (name + ".toml"));
      ASSERT_TRUE(experiment) << experiment.error().message;
      const auto& all = experiment->expectations;
      const auto expected = std::ranges::find(all, deviation.expectation, &Expectation::id);
      ASSERT_NE(expected, all.end());
      const bool same =
          expected->temporal == deviation.instead.temporal &&
          expected->condition.text() == deviation.instead.condition.text() &&
          expected->within.has_value() == deviation.instead.within.has_value() &&
          (!expected->within || expected->within->text() == deviation.instead.within->text());
      EXPECT_FALSE(same);
    }
  }
}

}  // namespace
}  // namespace zq
