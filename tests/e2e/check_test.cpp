// `zonequake check` on clusters that run, and a run that holds a scheduler to what it predicted.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using nlohmann::json;
using std::chrono::seconds;

// Up for one test.
class Up {
 public:
  explicit Up(const Workspace& work) : work_(work) {
    const auto up =
        run_to_end({zonequake(), "testbed", "up", "--cluster", work.cluster_file()}, seconds(240));
    if (up.exit_code != 0) throw std::runtime_error(up.out + up.err);
  }
  Up(const Up&) = delete;
  Up& operator=(const Up&) = delete;
  ~Up() {
    run_to_end({zonequake(), "testbed", "down", "--cluster", work_.cluster_file()}, seconds(60));
  }

 private:
  const Workspace& work_;
};

struct Checked {
  int exit_code = -1;
  json document;
  std::string text;

  [[nodiscard]] std::string status(const std::string& id) const {
    for (const json& check : document["checks"]) {
      if (check["id"] == id) return check["status"];
    }
    return "";
  }
};

Checked check(const Workspace& work, const std::vector<std::string>& more = {}) {
  std::vector<std::string> command{zonequake(), "check", "--json", "--cluster",
                                   work.cluster_file()};
  command.insert(command.end(), more.begin(), more.end());
  const auto done = run_to_end(command, seconds(120));
  return {.exit_code = done.exit_code,
          .document = json::parse(done.out, nullptr, false),
          .text = done.out + done.err};
}

void replace(std::string& text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  if (at == std::string::npos) throw std::runtime_error("no '" + what + "' in the cluster file");
  text.replace(at, what.size(), by);
}

TEST(Check, PredictsWhatASwarmThenDoes) {
  const Workspace work("swarm-full.toml");
  const Up up(work);
  const Checked all = check(work, {"--throughput"});
  ASSERT_TRUE(all.document.is_object()) << all.text;
  for (const char* id : {"P-01", "P-02", "P-03", "P-08", "P-09", "P-11"}) {
    EXPECT_EQ(all.status(id), "passed") << id << all.text;
  }
  EXPECT_EQ(all.status("P-04"), "failed") << all.text;
  EXPECT_EQ(all.status("P-05"), "not applicable");
  EXPECT_EQ(all.exit_code, 1);
  // Two cores of other zones are free for two instances of b at most: the rest waits.
  unsigned predicted = 0;
  for (const json& loss : all.document["losses"]) {
    if (loss["zone"] == "b") predicted = loss["predicted_waiting"];
  }
  EXPECT_GE(predicted, 1U) << all.text;

  const auto run = run_to_end({zonequake(), "run", "t1-c1b-capacity-short", "--cluster",
                               work.cluster_file(), "--db", work.db()},
                              seconds(300));
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  const Store store = work.store();
  const RunRecord record = value_of(store.run(1));
  EXPECT_EQ(record.verdict, RunVerdict::kPassed) << record.reason;
  ASSERT_TRUE(record.variables.contains("predicted_waiting"));
  EXPECT_EQ(record.variables.at("predicted_waiting"), predicted);
}

TEST(Check, FindsAQuorumInOneZone) {
  const Workspace work("zookeeper-3.toml", [](std::string& text) {
    replace(text, "\"fd66:1::1\"] }]\n\n[[region.zone]]\nname = \"b\"\nnode = [{ name = \"z2\"",
            "\"fd66:1::1\"] },\n  { name = \"z2\"");
    replace(text, "\"10.66.2.1\", \"fd66:2::1\"", "\"10.66.1.2\", \"fd66:1::2\"");
  });
  const Up up(work);
  const Checked one = check(work, {"--only", "P-05"});
  EXPECT_EQ(one.exit_code, 1) << one.text;
  ASSERT_TRUE(one.document.is_object()) << one.text;
  ASSERT_EQ(one.document["checks"].size(), 1U);
  EXPECT_NE(one.text.find("zone a alone holds a quorum (z1 z2)"), std::string::npos) << one.text;
}

TEST(Check, RefusesWhatItCannotDo) {
  const Workspace work("zookeeper-3.toml");
  EXPECT_EQ(check(work, {"--only", "P-13"}).exit_code, 64);
  EXPECT_EQ(check(work, {"--topology", "T9"}).exit_code, 64);
  const Checked down = check(work);
  EXPECT_EQ(down.exit_code, 64);
  EXPECT_NE(down.text.find("is not up"), std::string::npos) << down.text;
}

}  // namespace
}  // namespace zq::e2e
