// Recipes at work: processes, their files, probes and steps, killing and restarting.
#include "controller/testbed/cgroups.h"
#include "controller/testbed/layout.h"
#include "tests/integration/testbed/testbed_fixture.h"

namespace zq::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A web server that forks a child, as daemons do, with a private mount under its feet.
constexpr const char* kServer = R"(
[[process]]
name = "server"
on = "role:master"
isolate = ["mount", "pid", "uts"]
setup = [
  "mount -t tmpfs tmpfs /mnt",
  "echo started >> {dir}/starts",
  "sleep 1000 &",
]
command = ["/bin/busybox", "httpd", "-f", "-p", "{ip}:8080", "-h", "{dir}/www"]
files = { "{dir}/www/who" = "{node} of {count all}\n" }
[process.ready]
http = "http://{ip}:8080/who"
contains = "{node} of 3"
timeout = "20s"
)";

class RecipeRun : public ::testing::Test {
 protected:
  Result<Testbed> up(const std::string& recipe) {
    return Testbed::up(three_zones(name_, folder_.write("recipe.toml", recipe)), quiet_options());
  }
  // What the recipe says when it cannot be brought up; nothing may be left of it.
  std::string failure(const std::string& recipe) {
    const auto testbed = up(recipe);
    EXPECT_THAT(traces_of(name_), IsEmpty());
    if (!testbed) return testbed.error().message;
    ADD_FAILURE() << "it came up";
    return {};
  }
  static std::string output(const Testbed& testbed, const std::string& node,
                            const std::string& command) {
    const std::string file = testbed.node_dir(node) + "/output";
    const auto code = testbed.exec(node, {"sh", "-c", command + " > " + file + " 2>&1"});
    EXPECT_TRUE(code);
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static std::size_t alive(const Testbed& testbed, const std::string& process) {
    const auto processes = testbed.status();
    EXPECT_TRUE(processes);
    std::size_t count = 0;
    for (const auto& one : *processes) count += one.alive && one.name == process ? 1U : 0U;
    return count;
  }

  const std::string name_ = unique_cluster_name("recipe");
  TemporaryFolder folder_;
  TakenDown cleanup_{name_};
};

TEST_F(RecipeRun, KillsAndRestartsTheProcessesOfNodes) {
  auto testbed = up(kServer);
  ASSERT_TRUE(testbed) << testbed.error().message;
  EXPECT_EQ(output(*testbed, "a1", "curl -s -m 3 http://10.66.2.1:8080/who"), "b1 of 3\n");
  EXPECT_EQ(alive(*testbed, "server"), 3U);

  EXPECT_THAT(testbed::cgroup_processes(testbed::Layout{name_}.node_cgroup("b1")),
              ::testing::SizeIs(::testing::Ge(3U)))
      << "unshare, httpd, sleep";
  const MonoTime begin = mono_now();
  const Status killed = testbed->kill({"b1", "c1"});
  EXPECT_TRUE(killed) << killed.error().message;
  EXPECT_LT(mono_now() - begin, std::chrono::seconds(3));
  EXPECT_EQ(alive(*testbed, "server"), 1U);
  EXPECT_EQ(alive(*testbed, "agent"), 3U) << "agents are outside of what is killed";
  EXPECT_EQ(output(*testbed, "a1", "curl -s -m 3 http://10.66.2.1:8080/who || echo dead"),
            "dead\n");
  // The child that the server's shell left behind is gone with it.
  EXPECT_THAT(testbed::cgroup_processes(testbed::Layout{name_}.node_cgroup("b1")), IsEmpty());

  const Status restarted = testbed->restart({"b1", "c1"});
  ASSERT_TRUE(restarted) << restarted.error().message;
  EXPECT_EQ(alive(*testbed, "server"), 3U);
  EXPECT_TRUE(eventually([&] {
    return output(*testbed, "a1", "curl -s -m 3 http://10.66.3.1:8080/who") == "c1 of 3\n";
  }));
  EXPECT_EQ(output(*testbed, "b1", "cat $ZQ_DIR/starts"), "started\nstarted\n");
  ASSERT_TRUE(testbed->restart({"a1"})) << "what runs is left alone";
  EXPECT_EQ(output(*testbed, "a1", "cat $ZQ_DIR/starts"), "started\n");
  EXPECT_FALSE(testbed->kill({"z9"}));

  const Status down = testbed->down();
  EXPECT_TRUE(down) << down.error().message;
  EXPECT_THAT(traces_of(name_), IsEmpty());
}

TEST_F(RecipeRun, KeepsHostNameMountsAndProcessesApart) {
  auto testbed = up(R"(
[[process]]
name = "look"
on = "zone:a"
isolate = ["mount", "pid", "uts"]
setup = [
  "mount -t tmpfs tmpfs /mnt",
  "hostname > {dir}/seen",
  "echo $$ >> {dir}/seen",
  "grep -c ' /mnt tmpfs' /proc/mounts >> {dir}/seen",
]
command = ["/bin/sh", "-c", "touch {dir}/done; exec sleep 1000"]
ready = { file = "{dir}/done" }
)");
  ASSERT_TRUE(testbed) << testbed.error().message;
  EXPECT_EQ(output(*testbed, "a1", "cat $ZQ_DIR/seen"), "a1\n1\n1\n");
  EXPECT_EQ(output(*testbed, "a1", "grep -c ' /mnt tmpfs' /proc/mounts"), "0\n");
}

TEST_F(RecipeRun, PassesCapturesOnAndRetries) {
  auto testbed = up(R"(
[[step]]
name = "make a token"
on = "role:master"
pick = "first"
command = ["/bin/sh", "-c", "echo '  secret of {node} '"]
capture = "token"

[[step]]
name = "fail twice"
on = "role:master"
pick = "rest"
parallel = true
command = ["/bin/sh", "-c", "echo x >> {dir}/tries; [ $(wc -l < {dir}/tries) -ge 3 ]"]
retry = "20s"

[[step]]
name = "use the token"
on = "role:master"
pick = "rest"
command = ["/bin/sh", "-c", "printf %s '{var:token}' > {dir}/token"]
)");
  ASSERT_TRUE(testbed) << testbed.error().message;
  EXPECT_EQ(output(*testbed, "c1", "cat $ZQ_DIR/token"), "secret of a1");
  EXPECT_EQ(output(*testbed, "b1", "cat $ZQ_DIR/tries"), "x\nx\nx\n");
  EXPECT_THAT(
      output(*testbed, "a1", "ls $ZQ_DIR"),
      ::testing::AllOf(::testing::Not(HasSubstr("token")), ::testing::Not(HasSubstr("tries"))));
}

TEST_F(RecipeRun, SaysWhichStepFailedAndTearsDown) {
  const std::string message = failure(R"(
[[step]]
name = "break"
on = "zone:b"
command = ["/bin/sh", "-c", "echo out of luck >&2; exit 3"]
)");
  EXPECT_THAT(message, HasSubstr("step 'break' on b1: exit code 3: out of luck"));
}

TEST_F(RecipeRun, EndsAStepThatHangs) {
  const std::string message = failure(R"(
[[step]]
name = "hang"
on = "zone:b"
command = ["/bin/sh", "-c", "sleep 1000 & sleep 1000"]
timeout = "300ms"
)");
  EXPECT_THAT(message, HasSubstr("does not end within 300ms"));
}

TEST_F(RecipeRun, SaysWhatAProcessThatEndedSaid) {
  const std::string message = failure(R"(
[[process]]
name = "weak"
on = "zone:b"
command = ["/bin/sh", "-c", "echo no disk left; exit 1"]
ready = { file = "{dir}/never" }
)");
  EXPECT_THAT(message, HasSubstr("weak on b1 has ended"));
  EXPECT_THAT(message, HasSubstr("no disk left"));
}

TEST_F(RecipeRun, GivesUpOnAProcessThatIsNeverReady) {
  const std::string message = failure(R"(
[[process]]
name = "mute"
on = "zone:b"
command = ["/bin/sleep", "1000"]
ready = { tcp = "{ip}:9", timeout = "200ms" }
)");
  EXPECT_THAT(message, HasSubstr("mute on b1 is not ready after 200ms"));
}

TEST_F(RecipeRun, KnowsAllProbes) {
  auto testbed = up(R"(
[[process]]
name = "echo"
on = "zone:a"
isolate = ["pid"]
command = ["/bin/sh", "-c", """
  while true; do busybox nc -l -p 9 -e /bin/sh -c 'head -c 4 > /dev/null; echo imok'; done"""]
ready = { four_letter = "{ip}:9/ruok", contains = "imok", timeout = "20s" }

[[process]]
name = "port"
on = "zone:b"
command = ["/bin/busybox", "httpd", "-f", "-p", "[{ip6}]:9"]
ready = { tcp = "[{ip6}]:9", timeout = "20s" }

[[process]]
name = "file"
on = "zone:c"
command = ["/bin/sh", "-c", "touch {dir}/there; exec sleep 1000"]
ready = { file = "{dir}/there", timeout = "20s" }

[[process]]
name = "command"
on = "zone:c"
command = ["/bin/sleep", "1000"]
ready = { command = ["/bin/sh", "-c", "ip -brief address; exit 0"], contains = "{ip}", timeout = "20s" }
)");
  ASSERT_TRUE(testbed) << testbed.error().message;
}

}  // namespace
}  // namespace zq::test
