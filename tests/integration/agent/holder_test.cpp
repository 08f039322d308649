// Who may command a node, and which commands are refused before anything is touched.
#include "tests/integration/agent/agent_fixture.h"

namespace zq::test {
namespace {

TEST(Holder, ServesOneRunAtATime) {
  Fleet fleet(2);
  Node& node = fleet[0];
  const auto request = fleet.arm_request(node);
  const auto first = node.arm(request);
  ASSERT_EQ(first.code(), kOk) << first.status.error_message();
  EXPECT_EQ(node.describe().reply.holder(), fleet.run().run());
  EXPECT_EQ(first.reply.uplinks_size(), 1);
  EXPECT_EQ(first.reply.uplinks(0).device(), "up0");

  const auto repeated = node.arm(request);
  ASSERT_EQ(repeated.code(), kOk);
  EXPECT_EQ(repeated.reply.SerializeAsString(), first.reply.SerializeAsString());

  auto other = request;
  other.mutable_run()->set_run("somebody-else");
  other.mutable_run()->set_epoch(99);
  const auto refused = node.arm(other);
  EXPECT_EQ(refused.code(), kPrecondition);
  EXPECT_NE(refused.status.error_message().find(fleet.run().run()), std::string::npos);
  EXPECT_EQ(node.heal(other.run()).code(), kPrecondition);
  EXPECT_EQ(node.disarm(other.run()).code(), kPrecondition);
  EXPECT_EQ(node.paths(other.run()).code(), kPrecondition);
  EXPECT_EQ(node.describe().reply.holder(), fleet.run().run());

  auto changed = request;
  changed.mutable_book()->RemoveLast();
  EXPECT_EQ(node.arm(changed).code(), kPrecondition);
}

TEST(Holder, RefusesAnOutdatedEpoch) {
  Fleet fleet(2);
  Node& node = fleet[0];
  auto request = fleet.arm_request(node);
  ASSERT_EQ(node.arm(request).code(), kOk);
  request.mutable_run()->set_epoch(8);
  ASSERT_EQ(node.arm(request).code(), kOk) << "a newer epoch of the same run takes over";
  const auto outdated = node.heal(fleet.run());  // epoch 7
  EXPECT_EQ(outdated.code(), kPrecondition);
  EXPECT_NE(outdated.status.error_message().find("epoch 8"), std::string::npos);
  EXPECT_EQ(node.load(fleet.cut_request({1}, mono_now(), mono_now() + 1s)).code(), kPrecondition);
  EXPECT_EQ(node.disarm(fleet.run()).code(), kPrecondition);
  ASSERT_EQ(node.disarm(request.run()).code(), kOk);
  // Also when the node is free again, and when the agent has been started anew.
  EXPECT_EQ(node.arm(fleet.arm_request(node)).code(), kPrecondition);
  node.process().signal(SIGTERM);
  ASSERT_EQ(node.process().wait(), 0);
  node.start();
  EXPECT_EQ(node.arm(fleet.arm_request(node)).code(), kPrecondition);
  EXPECT_EQ(node.arm(request).code(), kOk);
}

TEST(Holder, RefusesCommandsWithoutARun) {
  Fleet fleet(1);
  EXPECT_EQ(fleet[0].load(fleet.cut_request({}, mono_now(), mono_now())).code(), kPrecondition);
  EXPECT_EQ(fleet[0].paths(fleet.run()).code(), kPrecondition);
  EXPECT_EQ(fleet[0].evidence(fleet.run()).code(), kPrecondition);
  EXPECT_EQ(fleet[0].heal(fleet.run()).code(), kOk) << "nothing impairs an idle node";
  EXPECT_EQ(fleet[0].disarm(fleet.run()).code(), kOk);
  EXPECT_EQ(fleet[0].heal({}).code(), kInvalid);
}

TEST(Holder, RefusesBadRequestsAndNamesTheField) {
  Fleet fleet(2);
  Node& node = fleet[0];
  const std::string dump = node.describe({fleet[1].v4()}).reply.dump();
  const std::string v4 = write_address(*IpAddress::parse("10.66.0.9"));
  using Request = zonequake::ArmRequest;
  const std::vector<std::pair<std::string, std::function<void(Request&)>>> cases{
      {"run", [](Request& r) { r.mutable_run()->set_run(""); }},
      {"groups", [](Request& r) { r.set_groups(0); }},
      {"group 2", [](Request& r) { r.set_group(2); }},
      {"book", [](Request& r) { r.mutable_book(0)->set_address("abc"); }},
      {"book", [&](Request& r) { r.mutable_book(0)->set_length(95); }},
      {"book", [&](Request& r) { r.mutable_book(0)->set_length(100); }},
      {"book", [](Request& r) { r.mutable_book(0)->set_group(2); }},
      {"book", [](Request& r) { r.clear_book(), r.clear_targets(); }},
      {"book_hash", [](Request& r) { r.set_book_hash("0000"); }},
      {"exempt", [](Request& r) { r.add_exempt()->set_port(70000); }},
      {"exempt", [](Request& r) { r.add_exempt()->set_protocol(256); }},
      {"exempt",
       [](Request& r) {
         for (int i = 0; i < 33; ++i) r.add_exempt()->set_port(22);
       }},
      {"target", [](Request& r) { r.mutable_targets(0)->set_group(2); }},
      {"target", [](Request& r) { r.mutable_targets(0)->set_address(""); }},
      {"own", [](Request& r) { r.add_own("x"); }},
      {"probe_rate", [](Request& r) { r.set_probe_rate(-1); }},
      {"probe_rate", [](Request& r) { r.set_probe_rate(1e9); }},
      {"probe_rate",
       [](Request& r) { r.set_probe_rate(std::numeric_limits<double>::quiet_NaN()); }},
      {"probe_rate 20000 to 11 targets makes 220000 probes",
       [](Request& r) {
         while (r.targets_size() < 11) *r.add_targets() = r.targets(0);
         r.set_probe_rate(20'000);
       }},
      {"probe_port", [](Request& r) { r.set_probe_port(0); }},
      {"probe_port", [](Request& r) { r.set_probe_port(65536); }},
      {"lease_ms", [](Request& r) { r.set_lease_ms(1); }},
      {"orphan_ms", [](Request& r) { r.set_orphan_ms(1); }},
  };
  for (const auto& [field, spoil] : cases) {
    auto request = fleet.arm_request(node);
    spoil(request);
    const auto answer = node.arm(request);
    EXPECT_EQ(answer.code(), kInvalid) << field << ": " << answer.status.error_message();
    EXPECT_NE(answer.status.error_message().find(field), std::string::npos)
        << field << ": " << answer.status.error_message();
  }
  auto strange = fleet.arm_request(node);
  strange.set_own(0, v4);
  const auto answer = node.arm(strange);
  EXPECT_EQ(answer.code(), kPrecondition);
  EXPECT_NE(answer.status.error_message().find("10.66.0.9"), std::string::npos);
  EXPECT_EQ(node.describe({fleet[1].v4()}).reply.dump(), dump) << "nothing may be left";

  ASSERT_EQ(node.arm(fleet.arm_request(node)).code(), kOk);
  const MonoTime now = mono_now();
  auto backwards = fleet.cut_request({1}, now, now - 1s);
  EXPECT_EQ(node.load(backwards).code(), kInvalid);
  EXPECT_EQ(node.load(fleet.cut_request({2}, now, now + 1s)).code(), kInvalid);
  EXPECT_EQ(node.load(fleet.cut_request({1, 1}, now, now + 1s)).code(), kInvalid);
  auto overlapping = fleet.cut_request({1}, now, now + 1ms);
  *overlapping.mutable_rules(0)->add_segments() = overlapping.rules(0).segments(0);
  EXPECT_EQ(node.load(overlapping).code(), kOk) << "the first decides";
  auto unknown = overlapping;
  unknown.mutable_rules(0)->mutable_segments(0)->set_treatment(zonequake::IMPAIR);
  EXPECT_EQ(node.load(unknown).code(), kInvalid) << "no such impairment";
  auto ports = overlapping;
  auto* const range = ports.mutable_rules(0)->mutable_segments(0)->mutable_scope()->add_ports();
  range->set_first(70'000);
  range->set_last(70'001);
  EXPECT_EQ(node.load(ports).code(), kInvalid);
  auto flapping = overlapping;
  flapping.mutable_rules(0)->mutable_segments(0)->set_period_ns(1000);
  EXPECT_EQ(node.load(flapping).code(), kInvalid) << "never on";
  auto impairing = overlapping;
  impairing.add_impairments()->set_duplicate(1.5);
  EXPECT_EQ(node.load(impairing).code(), kInvalid);
  auto many = fleet.cut_request({1}, now, now + 1s);
  for (int i = 0; i < 64; ++i) *many.mutable_rules(0)->add_segments() = many.rules(0).segments(0);
  EXPECT_EQ(node.load(many).code(), kInvalid);
}

}  // namespace
}  // namespace zq::test
