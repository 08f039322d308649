// Deploying canaries against schedulers that answer as the real ones document.
#include "controller/canary/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/canary/link_image.h"

namespace zq {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

Cluster three_zones(const std::string& kind) {
  std::string text = "name = \"c\"\n[[region]]\nname = \"r\"\n";
  for (const std::string zone : {"a", "b", "c"}) {
    const char letter = static_cast<char>('1' + (zone[0] - 'a'));
    text += "[[region.zone]]\nname = \"" + zone + "\"\nnode = [{ name = \"" + zone +
            "1\", roles = [\"agent\", \"scheduler\"], addresses = [\"10.66." + letter +
            ".1\"], agent = \"10.66." + letter + ".1:4270\" }]\n";
  }
  text += "[[system]]\nname = \"sys\"\nkind = \"" + kind +
          "\"\nnodes = \"role:agent\"\nendpoint = \"http://{ip}:8080\"\n"
          "[[app]]\nname = \"web\"\nsystem = \"sys\"\nreplicas = 3\nports = \"18080-18089\"\n";
  auto cluster = parse_cluster(text, "c.toml");
  if (!cluster) ADD_FAILURE() << cluster.error().message;
  return cluster.value_or(Cluster{});
}

// Marathon's apps as it keeps them; its first instance is out of order.
struct FakeMarathon {
  std::string version = "1.8.222";
  std::map<std::string, json> apps;
  std::vector<std::string> asked;

  AskScheduler ask() {
    return [this](std::size_t place, const zonequake::HttpProbe& request) {
      return answer(place, request);
    };
  }
  Result<SchedulerAnswer> answer(std::size_t place, const zonequake::HttpProbe& request) {
    if (place == 0) return fail(ErrorCode::kUnavailable, "Connection refused");
    if (place == 1)
      return SchedulerAnswer{503, R"({"message":"Could not determine the current leader"})"};
    asked.push_back(request.method() + " " + request.url());
    if (request.url() == "/v2/info") return SchedulerAnswer{200, json{{"version", version}}.dump()};
    const std::string prefix = "/v2/apps";
    EXPECT_TRUE(request.url().starts_with(prefix));
    const std::string path =
        request.url().substr(prefix.size(), request.url().find('?') - prefix.size());
    if (request.method() == "PUT") {
      apps[path] = json::parse(request.body());
      return SchedulerAnswer{201, "{}"};
    }
    if (!apps.contains(path)) return SchedulerAnswer{404, R"({"message":"App does not exist"})"};
    if (request.method() == "DELETE") {
      apps.erase(path);
      return SchedulerAnswer{200, "{}"};
    }
    json app = apps[path];
    app["tasksRunning"] = 2;
    return SchedulerAnswer{200, json{{"app", app}}.dump()};
  }
};

class MarathonCanaries : public testing::Test {
 protected:
  MarathonCanaries() : cluster_(three_zones("marathon")) {
    auto made = make_scheduler(cluster_, cluster_.systems.front(), 3, marathon_.ask());
    if (!made) throw std::runtime_error(made.error().message);
    scheduler_ = std::move(*made);
  }
  const AppSpec& app() const { return cluster_.apps.front(); }

  Cluster cluster_;
  FakeMarathon marathon_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(MarathonCanaries, AreAnAppOverTheFirstInstanceThatServes) {
  const auto note = scheduler_->deploy(app(), {.agent_path = "/opt/zonequake-agent"});
  ASSERT_TRUE(note) << note.error().message;
  EXPECT_EQ(*note, "");
  const json& made = marathon_.apps.at("/web");
  EXPECT_EQ(made.at("id"), "/web");
  EXPECT_EQ(made.at("instances"), 3);
  EXPECT_EQ(made.at("cmd"),
            "ZQ_INSTANCE=\"$MESOS_TASK_ID\" exec /opt/zonequake-agent canary --app web "
            "--port-first 18080 --port-last 18089");
  EXPECT_EQ(made.at("labels").at("zonequake"), "canary");
  EXPECT_EQ(made.at("portDefinitions"), json::array());
  EXPECT_EQ(made.at("constraints").dump(), R"([["@zone","GROUP_BY"]])");
  EXPECT_THAT(marathon_.asked, ElementsAre("GET /v2/apps/web", "GET /v2/info", "PUT /v2/apps/web"));
  const auto count = scheduler_->count(app());
  ASSERT_TRUE(count && *count);
  EXPECT_EQ((*count)->wanted, 3U);
  EXPECT_EQ((*count)->running, 2U);
}

TEST_F(MarathonCanaries, SpreadAsTheVersionAndTheUserNeedIt) {
  marathon_.version = "1.11.24";
  auto note = scheduler_->deploy(app(), {.zone_field = "rack"});
  ASSERT_TRUE(note) << note.error().message;
  EXPECT_THAT(*note, HasSubstr("--constraint rack:MAX_PER:N"));
  EXPECT_EQ(marathon_.apps.at("/web").at("constraints").dump(), R"([["rack","GROUP_BY","3"]])");
  ASSERT_TRUE(scheduler_->deploy(app(), {.constraint = "@zone:MAX_PER:2"}));
  EXPECT_EQ(marathon_.apps.at("/web").at("constraints").dump(), R"([["@zone","MAX_PER","2"]])");
  ASSERT_TRUE(scheduler_->deploy(app(), {.zone_field = "none"}));
  EXPECT_EQ(marathon_.apps.at("/web").at("constraints"), json::array());
}

TEST_F(MarathonCanaries, LeaveOthersAppsAlone) {
  const json others = {{"id", "/web"}, {"cmd", "sleep 1000"}, {"labels", {{"team", "x"}}}};
  marathon_.apps["/web"] = others;
  const auto refused = scheduler_->deploy(app(), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kExists);
  EXPECT_THAT(refused.error().message, HasSubstr("c.toml:"));
  EXPECT_EQ(scheduler_->remove(app()).error().code, ErrorCode::kExists);
  EXPECT_EQ(scheduler_->count(app()).error().code, ErrorCode::kExists);
  EXPECT_EQ(marathon_.apps.at("/web"), others);
}

TEST_F(MarathonCanaries, AreRemovedOnce) {
  ASSERT_TRUE(scheduler_->deploy(app(), {}));
  EXPECT_EQ(scheduler_->remove(app()).value(), true);
  EXPECT_TRUE(marathon_.apps.empty());
  EXPECT_EQ(scheduler_->remove(app()).value(), false);
  EXPECT_EQ(scheduler_->count(app()).value(), std::nullopt);
}

TEST_F(MarathonCanaries, SaysWhatAnsweredOddly) {
  const auto scheduler = make_marathon_scheduler(
      cluster_, cluster_.systems.front(), 1,
      [](std::size_t, const zonequake::HttpProbe&) -> Result<SchedulerAnswer> {
        return SchedulerAnswer{401, "who are you?"};
      });
  EXPECT_THAT(scheduler->deploy(app(), {}).error().message,
              HasSubstr("GET /v2/apps/web: answered with status 401: who are you?"));
}

TEST(Canaries, AreDeployedThroughSchedulersOnly) {
  const Cluster cluster = three_zones("marathon");
  SystemSpec system = cluster.systems.front();
  system.kind = "etcd";
  EXPECT_EQ(make_scheduler(cluster, system, 1, nullptr).error().code, ErrorCode::kInput);
}

// Swarm's services; images by place. The first place is a worker.
struct FakeSwarm {
  json services = json::array();
  std::map<std::size_t, bool> images;
  bool image_in_use = false;

  AskScheduler ask() {
    return [this](std::size_t place, const zonequake::HttpProbe& request) {
      return answer(place, request);
    };
  }
  Result<SchedulerAnswer> answer(std::size_t place, const zonequake::HttpProbe& request) {
    const std::string& url = request.url();
    if (url.starts_with("/images/create")) {
      EXPECT_EQ(request.body(), link_image());
      EXPECT_EQ(request.headers().at("Content-Type"), "application/x-tar");
      images[place] = true;
      return SchedulerAnswer{200, R"({"status":"sha256:1"})"};
    }
    if (url.starts_with("/images/")) {
      if (!images[place]) return SchedulerAnswer{404, "{}"};
      if (request.method() == "GET")
        return SchedulerAnswer{200, R"({"Config":{"Labels":{"zonequake":"canary"}}})"};
      if (image_in_use) return SchedulerAnswer{409, "{}"};
      images[place] = false;
      return SchedulerAnswer{200, "[]"};
    }
    if (place == 0)
      return SchedulerAnswer{503, R"({"message":"This node is not a swarm manager."})"};
    if (url.starts_with("/services?")) return SchedulerAnswer{200, services.dump()};
    if (url.starts_with("/tasks?"))
      return SchedulerAnswer{200, R"([{"Status":{"State":"running"}},{"Status":{"State":"new"}}])"};
    if (url == "/services/create") {
      services.push_back(
          {{"ID", "x1"}, {"Version", {{"Index", 42}}}, {"Spec", json::parse(request.body())}});
      return SchedulerAnswer{201, R"({"ID":"x1"})"};
    }
    if (url == "/services/x1/update?version=42") {
      services.back()["Spec"] = json::parse(request.body());
      return SchedulerAnswer{200, "{}"};
    }
    if (url == "/services/x1" && request.method() == "DELETE") {
      services.erase(services.size() - 1);
      return SchedulerAnswer{200, ""};
    }
    return SchedulerAnswer{500, url};
  }
};

TEST(SwarmCanaries, AreAServiceWithAnImageOfItsOwnOnEveryNode) {
  Cluster cluster = three_zones("swarm");
  FakeSwarm swarm;
  // A name that only begins like ours.
  swarm.services.push_back(
      {{"ID", "y"}, {"Spec", {{"Name", "web-shop"}, {"Labels", json::object()}}}});
  const auto scheduler = make_swarm_scheduler(3, swarm.ask());
  AppSpec app = cluster.apps.front();
  ASSERT_TRUE(scheduler->deploy(app, {.agent_path = "/opt/zq/zonequake-agent"}));
  EXPECT_EQ(swarm.images, (std::map<std::size_t, bool>{{0, true}, {1, true}, {2, true}}));
  const json spec = swarm.services.back().at("Spec");
  EXPECT_EQ(spec.at("Labels").at("zonequake"), "canary");
  EXPECT_EQ(spec.at("Mode").at("Replicated").at("Replicas"), 3);
  const json& container = spec.at("TaskTemplate").at("ContainerSpec");
  EXPECT_EQ(container.at("Command"), json::array({"/zonequake/zonequake-agent"}));
  EXPECT_EQ(container.at("Mounts")[1].at("Source"), "/opt/zq");
  const auto count = scheduler->count(app);
  ASSERT_TRUE(count && *count) << count.error().message;
  EXPECT_EQ((*count)->wanted, 3U);
  EXPECT_EQ((*count)->running, 1U);

  app.replicas = 5;
  ASSERT_TRUE(scheduler->deploy(app, {.image = "debian:12"}));
  EXPECT_EQ(swarm.services.size(), 2U);
  EXPECT_EQ(swarm.services.back().at("Spec").at("Mode").at("Replicated").at("Replicas"), 5);

  EXPECT_TRUE(scheduler->remove(app).value());
  EXPECT_FALSE(scheduler->remove(app).value());
  EXPECT_EQ(swarm.services.size(), 1U);
  swarm.image_in_use = true;
  EXPECT_FALSE(scheduler->tidy().value());
  swarm.image_in_use = false;
  EXPECT_TRUE(scheduler->tidy().value());
  EXPECT_EQ(std::ranges::count(swarm.images, true, [](const auto& one) { return one.second; }), 0);
}

TEST(SwarmCanaries, LeaveOthersServicesAlone) {
  Cluster cluster = three_zones("swarm");
  FakeSwarm swarm;
  swarm.services.push_back({{"ID", "y"}, {"Spec", {{"Name", "web"}, {"Labels", json::object()}}}});
  const auto scheduler = make_swarm_scheduler(3, swarm.ask());
  EXPECT_EQ(scheduler->deploy(cluster.apps.front(), {}).error().code, ErrorCode::kExists);
  EXPECT_EQ(scheduler->remove(cluster.apps.front()).error().code, ErrorCode::kExists);
  EXPECT_TRUE(swarm.images.empty());
}

TEST(LinkImage, IsATarThatGoesThroughText) {
  const std::string tar = link_image();
  EXPECT_EQ(tar.size() % 512, 0U);
  EXPECT_TRUE(
      std::ranges::all_of(tar, [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
  EXPECT_THAT(tar, HasSubstr("usr/lib64"));
}

}  // namespace
}  // namespace zq
