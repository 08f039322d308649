#include "controller/testbed/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/testbed/clusters.h"

namespace zq::testbed {
namespace {

using ::testing::HasSubstr;

class Template : public ::testing::Test {
 protected:
  Template() {
    context_.cluster = &cluster_;
    context_.agent_binary = "/opt/zq/zonequake-agent";
    context_.node = &cluster_.nodes.at(0);
  }

  std::string ok(const std::string& text) {
    const auto out = expand({text, {"r.toml", 7, 3}}, context_);
    if (out) return *out;
    ADD_FAILURE() << out.error().message;
    return {};
  }
  std::string error(const std::string& text) {
    const auto out = expand({text, {"r.toml", 7, 3}}, context_);
    if (!out) {
      EXPECT_EQ(out.error().code, ErrorCode::kInput);
      EXPECT_THAT(out.error().message, HasSubstr("r.toml:7:"));
      return out.error().message;
    }
    ADD_FAILURE() << "accepted, as " << *out;
    return {};
  }

  Cluster cluster_ = parse_small_cluster();
  TemplateContext context_;
};

TEST_F(Template, FillsInTheNode) {
  EXPECT_EQ(ok("{node} {zone} {region} {index} {ip} {ip6}"), "m1 a r 1 10.66.1.1 fd66:1::1");
  EXPECT_EQ(ok("{dir} {data}"),
            "/run/zonequake/testbed/small/m1 /var/lib/zonequake/testbed/small/m1");
  EXPECT_EQ(ok("{netns} {cgroup}"), "zq-small-m1 /zonequake/small/nodes/m1");
  EXPECT_EQ(ok("{label:disk}"), "ssd");
  EXPECT_EQ(ok("{label:disk|hdd} {label:colour|red} {label:colour|}"), "ssd red ");
}

TEST_F(Template, FillsInTheAgentAndTheCluster) {
  EXPECT_EQ(ok("{agent_binary} {agent_dir} {cluster} {cluster_data}"),
            "/opt/zq/zonequake-agent /opt/zq small /var/lib/zonequake/testbed/small/.shared");
}

TEST_F(Template, JoinsOverNodes) {
  EXPECT_EQ(ok("{each role:master; ,; {node}=http://{ip}:2380}"),
            "m1=http://10.66.1.1:2380,m2=http://10.66.1.2:2380");
  EXPECT_EQ(ok("{each all; \n; server.{index}={ip}}"),
            "server.1=10.66.1.1\nserver.2=10.66.1.2\nserver.3=10.66.2.1");
  EXPECT_EQ(ok("{each role:master | role:agent; ; {node}}"), "m1 m2 w1");
  EXPECT_EQ(ok("{each role:master & role:agent; ,; {node}}x"), "x");
}

TEST_F(Template, TakesTheFirstAndCounts) {
  EXPECT_EQ(ok("{first role:master; {ip}}:2377"), "10.66.1.1:2377");
  EXPECT_EQ(ok("{first zone:b; {dir}/x}"), "/run/zonequake/testbed/small/w1/x");
  EXPECT_EQ(ok("{count role:master} of {count all}"), "2 of 3");
}

TEST_F(Template, WritesDoubledBracesOnce) {
  EXPECT_EQ(ok("{{{{.Task.ID}}}} on {node}"), "{{.Task.ID}} on m1");
  EXPECT_EQ(ok("{{}}"), "{}");
}

TEST_F(Template, KnowsTheAppInItsStepsOnly) {
  EXPECT_THAT(error("{replicas}"), HasSubstr("per = \"app\""));
  context_.app = &cluster_.apps.at(0);
  EXPECT_EQ(ok("{app} {replicas} {port_first} {port_last}"), "web 3 18080 18089");
}

TEST_F(Template, KnowsWhatWasCaptured) {
  EXPECT_THAT(error("{var:token}"), HasSubstr("no earlier step captures 'token'"));
  const std::map<std::string, std::string> vars{{"token", "SWMTKN-1"}};
  context_.vars = &vars;
  EXPECT_EQ(ok("{var:token}"), "SWMTKN-1");
  EXPECT_THAT(error("{var:tokn}"), HasSubstr("'token'"));
}

TEST_F(Template, SaysWhatIsWrong) {
  EXPECT_THAT(error("{nod}"), HasSubstr("did you mean 'node'"));
  EXPECT_THAT(error("{node"), HasSubstr("without its '}'"));
  EXPECT_THAT(error("node}"), HasSubstr("without its '{'"));
  EXPECT_THAT(error("{label:colour}"), HasSubstr("no label 'colour'"));
  EXPECT_THAT(error("{each role:master; {node}}"), HasSubstr("SELECTOR; SEPARATOR; BODY"));
  EXPECT_THAT(error("{first role:master}"), HasSubstr("SELECTOR; BODY"));
  EXPECT_THAT(error("{first role:master & role:agent; {ip}}"), HasSubstr("no node"));
  EXPECT_THAT(error("{each zone:q; ,; {node}}"), HasSubstr("q"));
  EXPECT_THAT(error("{each zone:b; ,; {ip6}}"), HasSubstr("w1 has no IPv6 address"));
}

TEST_F(Template, NeedsANodeForNodeVariables) {
  context_.node = nullptr;
  EXPECT_THAT(error("{ip}"), HasSubstr("outside of a node"));
  EXPECT_EQ(ok("{first role:master; {ip}}"), "10.66.1.1");
}

}  // namespace
}  // namespace zq::testbed
