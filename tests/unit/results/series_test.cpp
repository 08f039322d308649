#include <gmock/gmock.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <limits>
#include <thread>

#include "results/database.h"
#include "tests/unit/results/results_fixture.h"

namespace zq {
namespace {

using test::ResultsTest;
using testing::ElementsAre;
using testing::SizeIs;

class SeriesTest : public ResultsTest {
 protected:
  // "from..last=value" of the only series, in milliseconds.
  std::vector<std::string> segments(RunId run) {
    const auto series = store().series(run);
    if (!series || series->size() != 1) {
      ADD_FAILURE() << (series ? "not one series" : series.error().message);
      return {};
    }
    std::vector<std::string> result;
    for (const Segment& segment : series->front().segments) {
      result.push_back(fmt::format("{}..{}={}", to_ns(segment.from) / 1'000'000,
                                   to_ns(segment.last) / 1'000'000,
                                   segment.value ? fmt::format("{}", *segment.value) : "?"));
    }
    return result;
  }
};

TEST_F(SeriesTest, EqualValuesExtendAndOthersBegin) {
  const RunId run = begin();
  for (const auto& [at, value] :
       std::vector<std::pair<double, std::optional<double>>>{{1, 1},
                                                             {1.5, 1},
                                                             {2, 1},
                                                             {2.5, 0},
                                                             {3, 0},
                                                             {3.5, std::nullopt},
                                                             {4, std::nullopt},
                                                             {4.5, 0}}) {
    ASSERT_TRUE(add(run, sample(at, value)));
  }
  EXPECT_THAT(segments(run),
              ElementsAre("1000..2000=1", "2500..3000=0", "3500..4000=?", "4500..4500=0"));
}

TEST_F(SeriesTest, SilenceLongerThanStaleIsNotBridged) {
  const RunId run = begin();
  ASSERT_TRUE(add(run, sample(1, 1)));
  ASSERT_TRUE(add(run, sample(4, 1)));    // 3 s: still counts
  ASSERT_TRUE(add(run, sample(7.5, 1)));  // 3.5 s: unknown in between
  EXPECT_THAT(segments(run), ElementsAre("1000..4000=1", "7500..7500=1"));
  const auto series = store().series(run);
  ASSERT_TRUE(series);
  EXPECT_EQ(series->front().stale_after, std::chrono::seconds(3));
}

TEST_F(SeriesTest, TimeNeverRunsBackwards) {
  const RunId run = begin();
  ASSERT_TRUE(add(run, sample(2, 1)));
  ASSERT_TRUE(add(run, sample(1.999, 1)));
  ASSERT_TRUE(add(run, sample(1.999, 0)));
  const auto series = store().series(run);
  ASSERT_TRUE(series);
  ASSERT_THAT(series->front().segments, SizeIs(2));
  EXPECT_EQ(to_ns(series->front().segments[1].from), 2'000'000'001);
}

TEST_F(SeriesTest, NotANumberIsUnknownAndInfinityIsAValue) {
  const RunId run = begin();
  ASSERT_TRUE(add(run, sample(1, std::numeric_limits<double>::quiet_NaN())));
  ASSERT_TRUE(add(run, sample(2, std::numeric_limits<double>::quiet_NaN())));
  ASSERT_TRUE(add(run, sample(3, std::numeric_limits<double>::infinity())));
  EXPECT_THAT(segments(run), ElementsAre("1000..2000=?", "3000..3000=inf"));
}

TEST_F(SeriesTest, LabelsTellSeriesApart) {
  const RunId run = begin();
  ASSERT_TRUE(add(run, sample(1, 1, "a")));
  ASSERT_TRUE(add(run, sample(1, 2, "b")));
  ASSERT_TRUE(add(run, sample(2, 1, "a")));
  const auto series = store().series(run);
  ASSERT_TRUE(series);
  ASSERT_THAT(*series, SizeIs(2));
  EXPECT_EQ(series->at(0).labels.at("zone"), "a");
  EXPECT_THAT(series->at(0).segments, SizeIs(1));
  EXPECT_EQ(series->at(1).labels.at("zone"), "b");
}

TEST_F(SeriesTest, GoesOnWhereAnEarlierLifeEnded) {
  const RunId run = begin();
  ASSERT_TRUE(add(run, sample(1, 1)));
  ASSERT_TRUE(add(run, sample(2, 1)));
  reopen();
  ASSERT_TRUE(add(run, sample(3, 1)));
  ASSERT_TRUE(store().finish_run(run, RunVerdict::kPassed, ""));
  ASSERT_TRUE(add(run, sample(4, 1)));
  ASSERT_TRUE(add(run, sample(5, 2)));
  EXPECT_THAT(segments(run), ElementsAre("1000..4000=1", "5000..5000=2"));
}

TEST_F(SeriesTest, AFailedWriteIsMadeGoodByTheNextOne) {
  const RunId run = begin();
  ASSERT_TRUE(add(run, sample(1, 1)));
  SQLite::Database other(path(), SQLite::OPEN_READWRITE);
  // What another program could do to the file: the write fails inside the transaction.
  other.exec(
      "CREATE TRIGGER refuse BEFORE INSERT ON segments BEGIN SELECT RAISE(ABORT, 'no'); END");
  EXPECT_FALSE(add(run, sample(2, 2)));
  EXPECT_FALSE(add(run, sample(2, 5, "b")));
  other.exec("DROP TRIGGER refuse");
  ASSERT_TRUE(add(run, sample(3, 3)));
  const auto series = store().series(run);
  ASSERT_TRUE(series);
  ASSERT_THAT(*series, SizeIs(2));
  EXPECT_THAT(series->at(0).segments, SizeIs(3));
  EXPECT_THAT(series->at(1).segments, SizeIs(1));
}

TEST_F(SeriesTest, AKilledWriterLosesAtMostASecond) {
  const RunId run = begin();
  std::array<int, 2> ready{};
  ASSERT_EQ(pipe(ready.data()), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // Its own connection; one confirmation every 10 ms until it is killed.
    auto own = Store::open(path());
    if (!own) _exit(1);
    for (int i = 0;; ++i) {
      const Sample confirmed{.signal = "app.answers", .labels = {}, .at = mono_now(), .value = 1};
      const Store::SeriesSample one{&confirmed, std::chrono::seconds(3)};
      if (!own->add_samples(run, {&one, 1})) _exit(1);
      if (i == 150 && write(ready[1], "x", 1) != 1) _exit(1);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  close(ready[1]);
  char byte = 0;
  const ssize_t got = read(ready[0], &byte, 1);
  close(ready[0]);
  const MonoTime killed = mono_now();
  kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(got, 1);
  ASSERT_TRUE(WIFSIGNALED(status));
  reopen();
  const auto series = store().series(run);
  ASSERT_TRUE(series) << series.error().message;
  ASSERT_THAT(*series, SizeIs(1));
  ASSERT_THAT(series->front().segments, SizeIs(1));
  const Nanos lost = killed - series->front().segments.front().last;
  EXPECT_LT(lost, std::chrono::seconds(1)) << format_duration(lost);
}

TEST_F(SeriesTest, ManySamplesTakeLittleTime) {
  const RunId run = begin();
  constexpr std::size_t kSeries = 1000;
  constexpr std::size_t kRounds = 200;
  std::vector<Sample> samples;
  for (std::size_t i = 0; i < kSeries; ++i) {
    samples.push_back({.signal = "member.state",
                       .labels = {{"node", fmt::format("node{}", i)}, {"system", "swarm"}},
                       .at = {},
                       .value = 1});
  }
  std::vector<Store::SeriesSample> batch;
  for (const Sample& each : samples) batch.push_back({&each, std::chrono::seconds(3)});
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < kSeries; ++i) {
      samples[i].at = mono_from_ns(static_cast<std::int64_t>(1'000'000'000 * (round + 1)));
      if ((round + i) % 10 == 0) samples[i].value = static_cast<double>(round);
    }
    ASSERT_TRUE(store().add_samples(run, batch));
  }
  const double took = to_seconds(std::chrono::steady_clock::now() - start);
  RecordProperty("samples_per_second", std::to_string(kSeries * kRounds / took));
  const auto series = store().series(run);
  ASSERT_TRUE(series);
  EXPECT_THAT(*series, SizeIs(kSeries));
  // A tenth of them change. Far below what it does, for busy machines and sanitizers.
  EXPECT_GT(static_cast<double>(kSeries * kRounds) / took, 20'000) << took << " s";
}

}  // namespace
}  // namespace zq
