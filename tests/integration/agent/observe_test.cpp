// The Observe stream from end to end: a probe of an agent's, as its controller sees it.
#include "tests/integration/agent/agent_fixture.h"

namespace zq::test {
namespace {

zonequake::ProbeSet read_file_probe(const zonequake::RunRef& run, const std::string& path) {
  zonequake::ProbeSet set;
  *set.mutable_run() = run;
  auto* const probe = set.add_probes();
  probe->set_id("file");
  probe->set_interval_ms(50);
  probe->set_timeout_ms(2000);
  probe->mutable_exec()->add_argv("/bin/cat");
  probe->mutable_exec()->add_argv(path);
  return set;
}

class Observing {
 public:
  Observing(Node& node, const zonequake::ProbeSet& set) : stream_(node.stub().Observe(&context_)) {
    (void)stream_->Write(set);
    reader_ = std::jthread([this] {
      zonequake::ObservationBatch batch;
      while (stream_->Read(&batch)) {
        const std::lock_guard lock(mutex_);
        all_.MergeFrom(batch);
      }
      const auto status = stream_->Finish();
      const std::lock_guard lock(mutex_);
      ended_ = status;
    });
  }
  ~Observing() { context_.TryCancel(); }
  void write(const zonequake::ProbeSet& set) { (void)stream_->Write(set); }
  void done() { (void)stream_->WritesDone(); }
  [[nodiscard]] zonequake::ObservationBatch all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }
  [[nodiscard]] std::optional<grpc::Status> ended() const {
    const std::lock_guard lock(mutex_);
    return ended_;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<zonequake::ProbeSet, zonequake::ObservationBatch>>
      stream_;
  mutable std::mutex mutex_;
  zonequake::ObservationBatch all_;
  std::optional<grpc::Status> ended_;
  std::jthread reader_;
};

TEST(Observe, TellsChangesAndConfirmsOnceASecond) {
  Fleet fleet(2);
  fleet.arm({.orphan = 30s});
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  std::ofstream(path) << "one";
  Observing observing(fleet[0], read_file_probe(fleet.run(), path));
  ASSERT_TRUE(wait_until([&] { return observing.all().confirmations_size() >= 3; }));
  auto all = observing.all();
  ASSERT_EQ(all.observations_size(), 1) << all.DebugString();
  EXPECT_EQ(all.observations(0).body(), "one");
  EXPECT_EQ(all.observations(0).outcome(), zonequake::Observation::ANSWER);
  for (int i = 1; i < all.confirmations_size(); ++i) {
    EXPECT_LE(all.confirmations(i).at_mono_ns() - all.confirmations(i - 1).at_mono_ns(),
              1'000'000'000);
  }
  std::filesystem::rename(path, path + ".gone");
  ASSERT_TRUE(wait_until([&] { return observing.all().observations_size() >= 2; }));
  all = observing.all();
  EXPECT_NE(all.observations(1).status(), 0);
  EXPECT_GT(all.observations(1).at_mono_ns(), all.observations(0).at_mono_ns());
  EXPECT_EQ(all.dropped(), 0U);

  observing.done();
  ASSERT_TRUE(wait_until([&] { return observing.ended().has_value(); }));
  EXPECT_TRUE(observing.ended()->ok()) << observing.ended()->error_message();
}

TEST(Observe, RefusesARunThatDoesNotHoldTheNode) {
  Fleet fleet(2);
  fleet.arm();
  zonequake::RunRef other;
  other.set_run("other");
  Observing observing(fleet[0], read_file_probe(other, "/dev/null"));
  ASSERT_TRUE(wait_until([&] { return observing.ended().has_value(); }));
  EXPECT_EQ(observing.ended()->error_code(), kPrecondition);
  EXPECT_NE(observing.ended()->error_message().find(fleet.run().run()), std::string::npos);
}

}  // namespace
}  // namespace zq::test
