#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "tests/integration/probe/stores.h"

namespace zq::probe_test {
namespace {

constexpr const char* kPrefix = "/zonequake/run-1/a1/";

std::uint64_t count_of(const Observation& result, const char* key) {
  return body_of(result).at(key).get<std::uint64_t>();
}

class WriteWorkloadTest : public testing::TestWithParam<std::unique_ptr<Store> (*)()> {
 protected:
  void SetUp() override {
    store_ = GetParam()();
    store_->start();
  }

  zonequake::Probe probe(bool read_back, std::uint32_t timeout_ms = 1000) const {
    zonequake::Probe probe = make_probe("write", 20, timeout_ms);
    probe.mutable_write()->set_kind(store_->kind());
    probe.mutable_write()->set_endpoint(store_->endpoint());
    probe.mutable_write()->set_prefix(kPrefix);
    probe.mutable_write()->set_read_back(read_back);
    return probe;
  }

  std::optional<Observation> wait_at_least(const char* key, std::uint64_t count) {
    return collector_.wait("write",
                           [&](const Observation& o) { return count_of(o, key) >= count; });
  }
  std::optional<Observation> wait_read_back() {
    return collector_.wait("write", [](const Observation& o) {
      return body_of(o).at("read_back").get<bool>() && body_of(o).at("cleaned").get<bool>();
    });
  }

  std::unique_ptr<Store> store_;
  Collector collector_;
};

TEST_P(WriteWorkloadTest, WhatWasAcknowledgedIsThereAndIsCleanedAway) {
  ASSERT_TRUE(store_->add(kPrefix, "somebody-elses"));
  ProbeEngine engine(collector_.sink());
  engine.set_probes(make_set({probe(false)}));
  const auto writing = wait_at_least("acknowledged", 40);
  ASSERT_TRUE(writing);
  EXPECT_EQ(writing->outcome(), Observation::ANSWER);
  EXPECT_GT(count_of(*writing, "acknowledged_in_last_s"), 5U);
  EXPECT_LE(count_of(*writing, "acknowledged_in_last_s"), 60U);
  EXPECT_FALSE(body_of(*writing).at("read_back").get<bool>());
  EXPECT_GE(store_->names(kPrefix).size(), 41U);

  engine.set_probes(make_set({probe(true)}));
  const auto result = wait_read_back();
  ASSERT_TRUE(result);
  const auto body = body_of(*result);
  EXPECT_GE(body.at("acknowledged"), 40) << "the mode switch forgot the workload";
  EXPECT_EQ(body.at("acknowledged"), body.at("attempted"));
  EXPECT_EQ(body.at("failed"), 0);
  EXPECT_EQ(body.at("lost"), 0);
  EXPECT_EQ(body.at("lost_keys"), nlohmann::json::array());
  EXPECT_EQ(body.at("unexpected"), 0);
  EXPECT_EQ(body.at("last_error"), "");
  EXPECT_LT(body.at("first_ack_mono_ns"), body.at("last_ack_mono_ns"));
  EXPECT_LE(body.at("last_ack_mono_ns"), result->at_mono_ns());
  EXPECT_EQ(store_->names(kPrefix), std::vector<std::string>{"somebody-elses"});
  // Once the last acknowledgement is a second old nothing changes: the answer compares equal.
  const std::size_t seen = collector_.all("write").size();
  ASSERT_TRUE(collector_.wait_count("write", seen + 2));
  const auto results = collector_.all("write");
  EXPECT_EQ(results.at(seen + 1).body(), results.at(seen).body());
}

TEST_P(WriteWorkloadTest, LostAndChangedValuesAreFound) {
  ProbeEngine engine(collector_.sink());
  engine.set_probes(make_set({probe(false)}));
  ASSERT_TRUE(wait_at_least("acknowledged", 10));
  std::vector<std::string> names = store_->names(kPrefix);
  std::ranges::sort(names);
  ASSERT_TRUE(store_->remove(kPrefix, names.at(2)));
  ASSERT_TRUE(store_->overwrite(kPrefix, names.at(4)));
  engine.set_probes(make_set({probe(true)}));
  const auto result = wait_read_back();
  ASSERT_TRUE(result);
  EXPECT_EQ(count_of(*result, "lost"), 2U);
  EXPECT_EQ(body_of(*result).at("lost_keys"), (nlohmann::json{names.at(2), names.at(4)}));
}

TEST_P(WriteWorkloadTest, DeadServerMakesFailuresNotLosses) {
  ProbeEngine engine(collector_.sink());
  engine.set_probes(make_set({probe(false, 400)}));
  ASSERT_TRUE(wait_at_least("acknowledged", 10));
  store_->kill();
  const auto dead = wait_at_least("failed", 3);
  ASSERT_TRUE(dead);
  EXPECT_NE(body_of(*dead).at("last_error"), "");

  // Reading back goes on until the server is there again.
  engine.set_probes(make_set({probe(true, 400)}));
  ASSERT_TRUE(collector_.wait("write", [](const Observation& o) {
    return body_of(o).at("last_error").get<std::string>().starts_with("read back: ");
  }));
  store_->start();
  const auto result = wait_read_back();
  ASSERT_TRUE(result);
  EXPECT_EQ(count_of(*result, "lost"), 0U);
  EXPECT_GE(count_of(*result, "failed"), 3U);
  EXPECT_EQ(count_of(*result, "acknowledged") + count_of(*result, "failed"),
            count_of(*result, "attempted"));
}

TEST_P(WriteWorkloadTest, HangingServerMakesFailuresThatMayBeThere) {
  ProbeEngine engine(collector_.sink());
  engine.set_probes(make_set({probe(false, 300)}));
  ASSERT_TRUE(wait_at_least("acknowledged", 10));
  store_->pause();
  // Reports go on while a write hangs.
  ASSERT_TRUE(wait_at_least("failed", 2));
  store_->resume();
  const auto before = collector_.all("write").back();
  ASSERT_TRUE(wait_at_least("acknowledged", count_of(before, "acknowledged") + 10))
      << "the workload did not come back";
  engine.set_probes(make_set({probe(true, 300)}));
  const auto result = wait_read_back();
  ASSERT_TRUE(result);
  EXPECT_EQ(count_of(*result, "lost"), 0U);
  EXPECT_LE(count_of(*result, "unexpected"), count_of(*result, "failed"));
}

std::string store_name(const testing::TestParamInfo<std::unique_ptr<Store> (*)()>& store) {
  constexpr std::array kNames{"etcd", "zookeeper", "redis"};
  return kNames.at(store.index);
}

INSTANTIATE_TEST_SUITE_P(Stores, WriteWorkloadTest,
                         testing::Values(&make_etcd, &make_zookeeper, &make_redis), store_name);

TEST(WriteProbe, WhatCannotBeWrittenToIsFailed) {
  const auto outcome = [](const char* kind, const char* endpoint, const char* prefix) {
    zonequake::Probe probe = make_probe("write");
    probe.mutable_write()->set_kind(kind);
    probe.mutable_write()->set_endpoint(endpoint);
    probe.mutable_write()->set_prefix(prefix);
    const Observation result = first_result(probe);
    EXPECT_NE(result.error(), "") << kind << endpoint << prefix;
    return result.outcome();
  };
  EXPECT_EQ(outcome("redis", "127.0.0.1:1", "/a/"), Observation::FAILED);
  EXPECT_EQ(outcome("etcd", "127.0.0.1:2379", "/a/"), Observation::FAILED);
  EXPECT_EQ(outcome("etcd", "http://127.0.0.1:2379", ""), Observation::FAILED);
  EXPECT_EQ(outcome("zookeeper", "http://127.0.0.1:1", "/a/"), Observation::FAILED);
  EXPECT_EQ(outcome("zookeeper", "127.0.0.1:1", "a/"), Observation::FAILED);
  EXPECT_EQ(outcome("zookeeper", "127.0.0.1:1", "//"), Observation::FAILED);
  EXPECT_EQ(outcome("redis-sentinel", "127.0.0.1:1", "/a/"), Observation::FAILED);
  EXPECT_EQ(outcome("redis-sentinel", "127.0.0.1:x/main", "/a/"), Observation::FAILED);
  EXPECT_EQ(outcome("redis-sentinel", "127.0.0.1:1/", "/a/"), Observation::FAILED);
}

TEST(WriteProbe, ReadingBackWithoutAWorkloadIsFailed) {
  zonequake::Probe probe = make_probe("write");
  probe.mutable_write()->set_kind("etcd");
  probe.mutable_write()->set_endpoint("http://127.0.0.1:1");
  probe.mutable_write()->set_prefix("/a/");
  probe.mutable_write()->set_read_back(true);
  const Observation result = first_result(probe);
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_EQ(result.error(), "there is no workload under /a/ to read back on this agent");
}

TEST(WriteProbe, StopsSoonWithAServerThatNeverAnswers) {
  const Server server = Server::tcp(hang);
  const std::string address = fmt::format("127.0.0.1:{}", server.port());
  for (const auto& [kind, endpoint] :
       {std::pair{"etcd", server.url("")}, std::pair{"zookeeper", address},
        std::pair{"redis-sentinel", address + "/main"}}) {
    zonequake::Probe probe = make_probe("write", 20, 60'000);
    probe.mutable_write()->set_kind(kind);
    probe.mutable_write()->set_endpoint(endpoint);
    probe.mutable_write()->set_prefix("/zonequake/x/");
    Collector collector;
    ProbeEngine engine(collector.sink());
    engine.set_probes(make_set({probe}));
    ASSERT_TRUE(collector.wait_count("write", 1));
    EXPECT_EQ(count_of(collector.all("write").front(), "attempted"), 1U);
    const MonoTime begin = mono_now();
    engine.stop();
    EXPECT_LT(mono_now() - begin, 4s);
  }
}

}  // namespace
}  // namespace zq::probe_test
