#include "tests/calibration/scheduler/instance.h"

#include <gtest/gtest.h>

namespace zq::scheduler {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr std::int64_t kStart = 1'795'556'561'000'000'000;

std::int64_t at(Nanos since) { return kStart + since.count(); }

TaskStatus status(const std::string& state, const std::string& reason = "") {
  TaskStatus made;
  made.task_id = "a.instance-1._app.1";
  made.state = state;
  made.reason = reason;
  if (state == "TASK_UNREACHABLE") made.unreachable_wall_ns = kStart;
  return made;
}

Instance running() {
  Instance instance;
  instance.id = "a.instance-1";
  instance.app_id = "/a";
  instance.condition = Condition::kRunning;
  instance.incarnation = 1;
  instance.agent_id = "S1";
  return instance;
}

TEST(Status, IsReadAsMesosWritesIt) {
  const auto recorded = json::parse(R"({"task_id": {"value": "pa-32"}, "state": "TASK_RUNNING",
    "source": "SOURCE_EXECUTOR", "agent_id": {"value": "8c07-S0"}, "timestamp": 1795556464.8,
    "uuid": "9thgmfiMR4C8UHS1I7zP7A==", "container_status": {"container_id": {"value": "2a57"},
    "network_infos": [{"ip_addresses": [{"protocol": "IPv4", "ip_address": "10.77.0.32"}]}]}})");
  const auto read = parse_status(recorded);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->task_id, "pa-32");
  EXPECT_EQ(read->uuid, "9thgmfiMR4C8UHS1I7zP7A==");
  EXPECT_EQ(read->addresses, std::vector<std::string>{"10.77.0.32"});
  EXPECT_EQ(condition_of(*read), Condition::kRunning);
  EXPECT_FALSE(parse_status(json::object()));
  EXPECT_FALSE(parse_status(json::array()));
}

TEST(Status, UnreachableTimeMayBeTextOrNumber) {
  for (const char* const form : {"1795556561000000000", "\"1795556561000000000\""}) {
    const auto read =
        parse_status(json::parse(std::string(R"({"task_id":{"value":"t"},"state":"TASK_UNREACHABLE",
                                    "unreachable_time":{"nanoseconds":)") +
                                 form + "}}"));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->unreachable_wall_ns, kStart);
  }
}

TEST(Status, LostIsMappedByItsReason) {
  EXPECT_EQ(condition_of(status("TASK_LOST", "REASON_AGENT_REMOVED")), Condition::kUnreachable);
  EXPECT_EQ(condition_of(status("TASK_LOST", "REASON_RECONCILIATION")), Condition::kUnreachable);
  EXPECT_EQ(condition_of(status("TASK_LOST", "REASON_TASK_UNKNOWN")), Condition::kUnknown);
  EXPECT_EQ(condition_of(status("TASK_LOST", "REASON_INVALID_OFFERS")), Condition::kGone);
}

TEST(Instance, WithoutPatienceIsForgottenAtOnce) {
  auto instance = running();
  EXPECT_EQ(apply(instance, status("TASK_UNREACHABLE"), {}, at(seconds(0))), Effect::kForgotten);
}

TEST(Instance, BecomesInactiveOnlyWhenItIsSpokenOf) {
  const UnreachableStrategy strategy{true, seconds(60), seconds(300)};
  auto instance = running();
  EXPECT_EQ(apply(instance, status("TASK_UNREACHABLE"), strategy, at(seconds(0))),
            Effect::kUpdated);
  EXPECT_EQ(instance.condition, Condition::kUnreachable);
  EXPECT_TRUE(is_active(instance.condition));
  EXPECT_EQ(apply(instance, status("TASK_UNREACHABLE"), strategy, at(seconds(59))), Effect::kNone);
  EXPECT_EQ(apply(instance, status("TASK_UNREACHABLE"), strategy, at(seconds(61))),
            Effect::kUpdated);
  EXPECT_EQ(instance.condition, Condition::kUnreachableInactive);
  EXPECT_FALSE(is_active(instance.condition));
  EXPECT_FALSE(is_overdue(instance, strategy, at(seconds(299))));
  EXPECT_TRUE(is_overdue(instance, strategy, at(seconds(300))));
  EXPECT_EQ(apply(instance, status("TASK_RUNNING"), strategy, at(seconds(310))), Effect::kUpdated);
  EXPECT_EQ(instance.condition, Condition::kRunning);
  EXPECT_FALSE(instance.unreachable_wall_ns);
}

TEST(Instance, DisabledStrategyWaitsForEver) {
  const UnreachableStrategy strategy{false, {}, {}};
  auto instance = running();
  EXPECT_EQ(apply(instance, status("TASK_UNREACHABLE"), strategy, at(seconds(100000))),
            Effect::kUpdated);
  EXPECT_EQ(instance.condition, Condition::kUnreachable);
  EXPECT_FALSE(is_overdue(instance, strategy, at(seconds(1000000))));
}

TEST(Instance, GoesOnBeingKilledUntilItHasEnded) {
  auto instance = running();
  instance.condition = Condition::kKilling;
  EXPECT_EQ(apply(instance, status("TASK_RUNNING"), {}, at(seconds(1))), Effect::kNone);
  EXPECT_EQ(instance.condition, Condition::kKilling);
  EXPECT_EQ(apply(instance, status("TASK_KILLED"), {}, at(seconds(2))), Effect::kEnded);
}

TEST(Instance, SurvivesItsStorage) {
  auto instance = running();
  instance.place = {"h1", "r1", "z1", {{"rack", "k"}}};
  instance.ports = {31000, 31001};
  instance.unreachable_wall_ns = kStart;
  instance.started_wall_ns = kStart + 1;
  const auto back = parse_instance(json::parse(to_json(instance).dump()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(to_json(*back), to_json(instance));
  EXPECT_EQ(back->unreachable_wall_ns, kStart);
  EXPECT_EQ(back->place.zone, "z1");
  EXPECT_FALSE(parse_instance(json{{"id", "x"}}));
}

TEST(Instance, ShowsBothKindsOfUnreachableAlike) {
  auto instance = running();
  instance.condition = Condition::kUnreachableInactive;
  EXPECT_EQ(task_json(instance).at("state"), "TASK_UNREACHABLE");
  EXPECT_EQ(task_json(instance).at("id"), "a.instance-1._app.1");
  EXPECT_EQ(instance_of_task("a.instance-1._app.12"), "a.instance-1");
  EXPECT_EQ(instance_of_task("pa-32"), "");
}

}  // namespace
}  // namespace zq::scheduler
