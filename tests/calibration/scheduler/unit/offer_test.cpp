#include "tests/calibration/scheduler/offer.h"

#include <gtest/gtest.h>

namespace zq::scheduler {
namespace {

using nlohmann::json;

// From a real master's stream (Mesos 1.12), shortened.
json recorded() {
  return json::parse(R"({"id":{"value":"8c07-O9"},"framework_id":{"value":"8c07-0003"},
    "agent_id":{"value":"8c07-S0"},"hostname":"10.77.0.32",
    "domain":{"fault_domain":{"region":{"name":"r1"},"zone":{"name":"b"}}},
    "resources":[
      {"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,"end":31001},
        {"begin":31005,"end":31005}]},"role":"*","allocation_info":{"role":"*"}},
      {"name":"cpus","type":"SCALAR","scalar":{"value":2.0},"role":"*",
        "allocation_info":{"role":"*"}},
      {"name":"mem","type":"SCALAR","scalar":{"value":512.0},"role":"*",
        "allocation_info":{"role":"*"}},
      {"name":"disk","type":"SCALAR","scalar":{"value":1024.0},"role":"*",
        "allocation_info":{"role":"*"}},
      {"name":"cpus","type":"SCALAR","scalar":{"value":8.0},
        "reservations":[{"role":"db","type":"STATIC"}]}],
    "attributes":[{"name":"zone","type":"TEXT","text":{"value":"b"}},
      {"name":"level","type":"SCALAR","scalar":{"value":3.0}}],
    "allocation_info":{"role":"*"}})");
}

App app(double cpus = 1, double mem = 32, std::size_t ports = 1) {
  App made;
  made.id = "/team/web";
  made.cmd = "sleep 1";
  made.cpus = cpus;
  made.mem = mem;
  for (std::size_t i = 0; i < ports; ++i) made.ports.push_back({0, {{"port", 0}}});
  return made;
}

std::optional<Refusal> refusal(const App& made, const std::optional<std::string>& home = "r1") {
  return refuses(*parse_offer(recorded()), made, {}, home, {});
}

TEST(Offer, CountsWhatIsNotReserved) {
  const auto offer = parse_offer(recorded());
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->left.cpus, 2);
  EXPECT_EQ(offer->left.mem, 512);
  EXPECT_EQ(offer->place.zone, "b");
  EXPECT_EQ(offer->place.attributes.at("zone"), "b");
  EXPECT_EQ(offer->place.attributes.at("level"), "3");
  EXPECT_EQ(offer->role, "*");
  EXPECT_FALSE(parse_offer(json::object()));
}

TEST(Offer, NamesWhatIsMissing) {
  EXPECT_EQ(refusal(app()), std::nullopt);
  EXPECT_EQ(refusal(app(2.1)), Refusal::kCpus);
  EXPECT_EQ(refusal(app(1, 513)), Refusal::kMemory);
  EXPECT_EQ(refusal(app(1, 32, 4)), Refusal::kPorts);
  auto big = app();
  big.disk = 5000;
  EXPECT_EQ(refusal(big), Refusal::kDisk);
  auto fixed = app();
  fixed.require_ports = true;
  fixed.ports = {{31003, {{"port", 31003}}}};
  EXPECT_EQ(refusal(fixed), Refusal::kPorts);
  fixed.ports = {{31005, {{"port", 31005}}}};
  EXPECT_EQ(refusal(fixed), std::nullopt);
  EXPECT_EQ(name_of(Refusal::kCpus), "InsufficientCpus");
}

TEST(Offer, StaysInTheHomeRegionUnlessTheAppSaysOtherwise) {
  EXPECT_EQ(refusal(app(), "r2"), Refusal::kConstraint);
  EXPECT_EQ(refusal(app(), std::nullopt), std::nullopt);
  auto abroad = app();
  abroad.constraints = {*Constraint::parse({"@region", "IS", "r1"})};
  EXPECT_EQ(refusal(abroad, "r2"), std::nullopt);
}

TEST(Offer, GivesResourcesAwayOnce) {
  auto offer = *parse_offer(recorded());
  const auto spec = app(0.5, 100, 2);
  Instance first;
  first.id = "team_web.instance-1";
  first.incarnation = 1;
  const auto task = take(offer, spec, first, 7, {});
  EXPECT_EQ(task.at("name"), "web.team");
  EXPECT_EQ(task.at("task_id").at("value"), "team_web.instance-1._app.1");
  EXPECT_EQ(task.at("agent_id").at("value"), "8c07-S0");
  EXPECT_TRUE(task.at("command").at("shell").get<bool>());
  for (const auto& resource : task.at("resources")) {
    EXPECT_EQ(resource.at("allocation_info").at("role"), "*") << resource;
  }
  EXPECT_EQ(first.ports.size(), 2U);
  EXPECT_NE(first.ports[0], first.ports[1]);
  EXPECT_EQ(offer.left.cpus, 1.5);
  EXPECT_EQ(offer.left.mem, 412);
  // One of three ports is left.
  EXPECT_EQ(refuses(offer, spec, {}, "r1", {}), Refusal::kPorts);
}

TEST(Offer, TellsTheTaskWhoItIs) {
  auto offer = *parse_offer(recorded());
  auto spec = app();
  spec.env["ZQ_APP"] = "web";
  spec.cmd.reset();
  spec.args = {"/bin/canary", "--app", "web"};
  Instance instance;
  instance.id = "team_web.instance-2";
  instance.incarnation = 3;
  const auto task = take(offer, spec, instance, 0, {});
  const auto& command = task.at("command");
  EXPECT_FALSE(command.at("shell").get<bool>());
  EXPECT_EQ(command.at("value"), "/bin/canary");
  EXPECT_EQ(command.at("arguments").size(), 3U);
  std::map<std::string, std::string> variables;
  for (const auto& one : command.at("environment").at("variables")) {
    variables[one.at("name")] = one.at("value");
  }
  EXPECT_EQ(variables.at("MESOS_TASK_ID"), "team_web.instance-2._app.3");
  EXPECT_EQ(variables.at("MARATHON_APP_ID"), "/team/web");
  EXPECT_EQ(variables.at("HOST"), "10.77.0.32");
  EXPECT_EQ(variables.at("PORT0"), std::to_string(instance.ports.at(0)));
  EXPECT_EQ(variables.at("ZQ_APP"), "web");
}

}  // namespace
}  // namespace zq::scheduler
