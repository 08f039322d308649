// The session in this process, where a test can break what it stands on.
#include "agent/session.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>

#include "agent/orders.h"
#include "tests/integration/agent/agent_fixture.h"
#include "tests/integration/dataplane/two_nodes.h"

namespace zq::test {
namespace {

// A session on node `a`, without path probes.
class Armed {
 public:
  Armed() {
    nodes_.a.run([&] {
      std::vector<std::string> removed;
      session_ = value_of(Session::open({"a", nodes_.state.path()}, removed));
    });
    run_.set_run(unique_name("run"));
    run_.set_epoch(1);
  }
  [[nodiscard]] const TwoNodes& nodes() const { return nodes_; }
  [[nodiscard]] Session& session() const { return *session_; }

  [[nodiscard]] zonequake::ArmRequest arm_request() const {
    zonequake::ArmRequest request;
    *request.mutable_run() = run_;
    request.set_groups(2);
    const std::vector<std::pair<std::string, std::uint32_t>> book{
        {TwoNodes::kA4, 0}, {TwoNodes::kA6, 0}, {TwoNodes::kB4, 1}, {TwoNodes::kB6, 1}};
    for (const auto& [address, group] : book) list(request, address, 128, group);
    return request;
  }
  static void list(zonequake::ArmRequest& request, const std::string& address,
                   std::uint32_t mapped_length, std::uint32_t group) {
    auto* const entry = request.add_book();
    entry->set_address(write_address(value_of(IpAddress::parse(address))));
    entry->set_length(mapped_length);
    entry->set_group(group);
  }
  [[nodiscard]] Result<zonequake::ArmReply> arm(const zonequake::ArmRequest& request) const {
    return nodes_.a.run([&] { return session_->arm(request, std::nullopt); });
  }
  template <class Request>
  [[nodiscard]] Request about() const {
    Request request;
    *request.mutable_run() = run_;
    return request;
  }
  void load_cut() const {
    auto request = about<zonequake::LoadRequest>();
    auto* const rule = request.add_rules();
    rule->set_group(1);
    auto* const window = rule->add_segments();
    window->set_from_mono_ns(to_ns(mono_now()));
    window->set_until_mono_ns(to_ns(mono_now() + 60s));
    (void)value_of(session_->load(request));
  }
  [[nodiscard]] Result<zonequake::EvidenceReply> evidence() const {
    return session_->read_evidence(about<zonequake::EvidenceRequest>());
  }
  void heal() const { (void)value_of(session_->heal(about<zonequake::HealRequest>())); }

 private:
  TwoNodes nodes_;
  std::unique_ptr<Session> session_;
  zonequake::RunRef run_;
};

// Makes this process's descriptors of the maps of that name useless; returns how many there were.
int break_maps(const std::string& name) {
  int broken = 0;
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; fd < 1024; ++fd) {
    bpf_map_info info{};
    std::uint32_t size = sizeof info;
    if (::bpf_obj_get_info_by_fd(fd, &info, &size) != 0 || name != info.name) continue;
    if (::dup3(null.get(), fd, O_CLOEXEC) == fd) ++broken;
  }
  return broken;
}

TEST(SessionEvidence, AFailureToReadItAtTheHealIsNotSilence) {
  const Armed armed;
  (void)value_of(armed.arm(armed.arm_request()));
  armed.load_cut();
  EXPECT_EQ(value_of(armed.evidence()).windows_size(), 1);
  ASSERT_EQ(break_maps("zq_evidence"), 1);
  armed.heal();
  const auto evidence = armed.evidence();
  ASSERT_FALSE(evidence.has_value()) << "no windows would look like a fault that never was";
  EXPECT_THAT(evidence.error().message, testing::HasSubstr("cannot be told"));
  EXPECT_EQ(error_of(armed.evidence()), evidence.error().message);
}

TEST(SessionBeats, AreAnsweredWhileTheNodeIsArmed) {
  const Armed armed;
  auto request = armed.arm_request();
  for (std::uint32_t i = 0; i < 40'000; ++i) {
    Armed::list(request, IpAddress::from_v4(0x0a430000U + i).to_string(), 128, 1);  // 10.67.0.0
  }
  std::atomic<bool> done = false;
  const MonoTime begun = mono_now();
  std::jthread arming([&] {
    EXPECT_EQ(error_of(armed.arm(request)), "");
    done = true;
  });
  int answers = 0;
  Nanos slowest{};
  while (!done) {
    const MonoTime asked = mono_now();
    ASSERT_EQ(error_of(armed.session().beat(armed.about<zonequake::Beat>(), asked)), "");
    slowest = std::max<Nanos>(slowest, mono_now() - asked);
    ++answers;
    std::this_thread::sleep_for(5ms);
  }
  fmt::print("{} beats answered in the {} of arming, the slowest in {}\n", answers,
             format_duration(mono_now() - begun), format_duration(slowest));
  EXPECT_GT(answers, 5);
  EXPECT_LT(slowest, 1s);
  EXPECT_EQ(armed.session().holder(), request.run().run());
}

TEST(SessionArm, TellsOfAddressesThatTheBookDoesNotList) {
  const Armed armed;
  add_address(armed.nodes().a, "up0", "10.66.9.9/24");
  const auto reply = value_of(armed.arm(armed.arm_request()));
  EXPECT_THAT(reply.unlisted(),
              testing::ElementsAre("device up0 also has 10.66.9.9, which the cluster file does not "
                                   "list for this node: traffic over it would not be impaired"));
  EXPECT_EQ(value_of(armed.arm(armed.arm_request())).unlisted_size(), 1) << "told again";
}

}  // namespace
}  // namespace zq::test
