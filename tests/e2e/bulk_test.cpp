// Bulk data under a cap: the example, from the command line to the store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

TEST(Bulk, FollowsTheCapWhileTheRestDoesNotNotice) {
  Workspace work("bare-3-zones.toml");
  const std::string experiment = source_dir() + "/experiments/examples/bulk.toml";
  const auto plan =
      run_to_end({zonequake(), "plan", experiment, "--cluster", work.cluster_file()}, seconds(30));
  EXPECT_THAT(plan.out, HasSubstr("a1 -> b1 (10.66.2.1), 2 streams, at most 60Mbit/s"));
  const auto done = run_to_end(work.run_command(experiment), seconds(180));
  EXPECT_EQ(done.exit_code, 0) << done.out << done.err;
  const Store store = work.store();
  EXPECT_EQ(value_of(store.run(1)).verdict, RunVerdict::kPassed);
  // Each second has its sample.
  std::size_t samples = 0;
  for (const Series& series : value_of(store.series(1))) {
    if (series.signal != "net.throughput_mbps") continue;
    EXPECT_EQ(series.labels.at("from"), "a1");
    EXPECT_EQ(series.labels.at("to"), "b1");
    samples += series.segments.size();
  }
  EXPECT_GE(samples, 20U);
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

}  // namespace
}  // namespace zq::e2e
