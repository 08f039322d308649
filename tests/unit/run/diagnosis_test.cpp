#include "controller/run/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace zq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

zonequake::DescribeReply reply(const std::string& node, bool netem) {
  zonequake::DescribeReply result;
  result.set_node(node);
  result.set_version("0.1.0");
  result.set_kernel("Linux 6.18");
  result.set_dump(
      "link veth0\nqdisc veth0 fq_codel handle 8001:0 parent ffff:ffff options 00\n"
      "qdisc veth0 clsact handle ffff:0 parent ffff:fff1 options 00\n");
  auto* gate = result.add_capabilities();
  gate->set_name("gate");
  gate->set_present(true);
  auto* other = result.add_capabilities();
  other->set_name("netem");
  other->set_present(netem);
  other->set_text(netem ? "in this kernel"
                        : "sch_netem: not in this kernel; delay line will be used");
  return result;
}

Cluster three_nodes() {
  Cluster cluster;
  for (const char* name : {"a1", "a2", "b1"}) cluster.nodes.emplace_back().name = name;
  return cluster;
}

TEST(Diagnosis, NodesThatAreAlikeAreShownTogetherAndNothingIsMissing) {
  std::vector<Result<zonequake::DescribeReply>> replies{reply("a1", true), reply("a2", true),
                                                        fail(ErrorCode::kNotFound, "no agent")};
  const auto nodes = diagnose(three_nodes(), {"unix:/a1", "unix:/a2", ""}, std::move(replies));
  for (const NodeDiagnosis& node : nodes) EXPECT_THAT(node.problems(), IsEmpty());
  const std::string text = render_diagnosis(nodes);
  EXPECT_THAT(text, HasSubstr("a1 a2\n  agent 0.1.0 on Linux 6.18\n"));
  EXPECT_THAT(text, HasSubstr("b1\n  no agent"));
  EXPECT_THAT(text, HasSubstr("root qdisc   veth0: fq_codel"));
  EXPECT_THAT(text, HasSubstr("every experiment can run"));
  EXPECT_THAT(text, HasSubstr("64 KiB"));
}

TEST(Diagnosis, TheMissingPieceIsNamedAndASilentAgentToo) {
  zonequake::DescribeReply blind = reply("a2", false);
  blind.add_ahead("veth0 ingress: filter pref 1 bpf");
  blind.set_holder("other-run");
  std::vector<Result<zonequake::DescribeReply>> replies{reply("wrong", true), blind,
                                                        fail(ErrorCode::kTimeout, "b1: no answer")};
  const auto nodes =
      diagnose(three_nodes(), {"unix:/a1", "unix:/a2", "10.66.2.1:4270"}, std::move(replies));
  EXPECT_THAT(nodes[0].problems(), ElementsAre(HasSubstr("says that it is wrong")));
  EXPECT_THAT(
      nodes[1].problems(),
      ElementsAre("netem: sch_netem: not in this kernel; delay line will be used",
                  HasSubstr("stands ahead of the gate"), HasSubstr("held by run other-run")));
  EXPECT_THAT(nodes[2].problems(), ElementsAre("b1: no answer"));
  const std::string text = render_diagnosis(nodes);
  EXPECT_THAT(text, HasSubstr("MISSING      netem: sch_netem: not in this kernel"));
  EXPECT_THAT(text, HasSubstr("UNREACHABLE  b1: no answer"));
  EXPECT_THAT(text, HasSubstr("3 of 3 nodes lack something"));
  EXPECT_THAT(text, Not(HasSubstr("every experiment can run")));
  const auto document = nlohmann::json::parse(diagnosis_json(nodes));
  EXPECT_FALSE(document["complete"].get<bool>());
  EXPECT_EQ(document["nodes"][1]["capabilities"][1]["present"], false);
  EXPECT_EQ(document["nodes"][1]["root_qdiscs"][0], "veth0: fq_codel");
  EXPECT_EQ(document["nodes"][2]["error"], "b1: no answer");
}

}  // namespace
}  // namespace zq
