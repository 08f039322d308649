#include "controller/access/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "controller/run/signal_hub.h"

namespace zq {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kSecret = "hunter2-of-the-test";

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "zq-access-XXXXXX").string();
    dir_ = ::mkdtemp(pattern.data());
    system_.name = "mesos";
    system_.position = {.file = "cluster.toml", .line = 7, .column = 1};
  }
  ~AccessTest() override { std::filesystem::remove_all(dir_); }

  std::string file(const std::string& text) const {
    std::ofstream(dir_ + "/secret", std::ios::binary) << text;
    return "file:" + dir_ + "/secret";
  }

  // What requests are sent with; the error's text otherwise.
  std::string authorization() {
    const auto access = resolve_access(system_, login_);
    if (!access) return access.error().message;
    zonequake::Probe probe;
    probe.mutable_http()->set_url("http://x");
    access->attach(probe);
    const auto found = probe.http().headers().find("Authorization");
    return found == probe.http().headers().end() ? "" : found->second;
  }

  SystemSpec system_;
  Login login_ = [](const auto&) -> Result<ProbeResult> {
    return fail(ErrorCode::kInternal, "nobody should log in");
  };
  std::string dir_;
};

TEST_F(AccessTest, NothingIsAddedWithoutCredentials) { EXPECT_EQ(authorization(), ""); }

TEST_F(AccessTest, UserAndPasswordAreBasic) {
  system_.access.credentials = file("Aladdin:open sesame\n");
  EXPECT_EQ(authorization(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");  // the example of RFC 7617
}

TEST_F(AccessTest, AnythingElseIsATokenOfDcos) {
  system_.access.credentials = file("eyJ0.eyJ1.c2ln\n");
  EXPECT_EQ(authorization(), "token=eyJ0.eyJ1.c2ln");
}

TEST_F(AccessTest, TheFormCanBeSaid) {
  system_.access.credentials = file("a:b");
  system_.access.auth = "bearer";
  EXPECT_EQ(authorization(), "Bearer a:b");
  system_.access.auth = "dcos";
  EXPECT_EQ(authorization(), "token=a:b");
  system_.access.auth = "basic";
  system_.access.credentials = file(kSecret);
  EXPECT_THAT(authorization(), AllOf(HasSubstr("holds no USER:PASSWORD"), Not(HasSubstr(kSecret))));
}

TEST_F(AccessTest, AVariableOfTheEnvironment) {
  system_.access.credentials = "env:ZQ_ACCESS_TEST";
  ::unsetenv("ZQ_ACCESS_TEST");
  EXPECT_THAT(authorization(),
              HasSubstr("cluster.toml:7:1: credentials of system 'mesos': the environment has no "
                        "ZQ_ACCESS_TEST"));
  ::setenv("ZQ_ACCESS_TEST", "token", 1);
  EXPECT_EQ(authorization(), "token=token");
  ::unsetenv("ZQ_ACCESS_TEST");
}

TEST_F(AccessTest, SaysWhatIsWrongWithAFileButNotWhatIsInIt) {
  system_.access.credentials = "file:" + dir_ + "/none";
  EXPECT_THAT(authorization(),
              AllOf(HasSubstr("cluster.toml:7:1"), HasSubstr("/none: No such file or directory")));
  for (const std::string text :
       {"", "\n", "two\nlines-hunter2-of-the-test",
        "{\"uid\": \"x\", \"password\": \"hunter2-of-the-test\"}", "{hunter2-of-the-test"}) {
    system_.access.credentials = file(text);
    EXPECT_THAT(authorization(),
                AllOf(HasSubstr("credentials of system 'mesos'"), Not(HasSubstr(kSecret))));
  }
}

TEST_F(AccessTest, LogsInAtDcos) {
  system_.access.credentials =
      file(R"({"uid": "bot", "password": "hunter2-of-the-test", "login_url": "https://x/login"})");
  system_.access.tls_verify = false;
  int status = 200;
  std::string answer = R"({"token": "abc"})";
  login_ = [&](const zonequake::HttpProbe& request) -> Result<ProbeResult> {
    EXPECT_EQ(request.url(), "https://x/login");
    EXPECT_EQ(request.method(), "POST");
    EXPECT_EQ(request.body(), R"({"password":"hunter2-of-the-test","uid":"bot"})");
    EXPECT_TRUE(request.insecure());
    EXPECT_TRUE(request.headers().empty());
    return ProbeResult{.outcome = zonequake::Observation::ANSWER, .status = status, .body = answer};
  };
  EXPECT_EQ(authorization(), "token=abc");
  status = 401;
  answer = std::string("no: ") + kSecret;
  EXPECT_THAT(authorization(), AllOf(HasSubstr("status 401"), Not(HasSubstr(kSecret))));
  status = 200;
  EXPECT_THAT(authorization(), AllOf(HasSubstr("no token"), Not(HasSubstr(kSecret))));
}

TEST_F(AccessTest, CertificatesAreReadAndChecked) {
  const std::string pem = "-----BEGIN CERTIFICATE-----\nxyz\n-----END CERTIFICATE-----\n";
  system_.access.ca = file(pem).substr(5);
  const auto access = resolve_access(system_, login_);
  ASSERT_TRUE(access) << access.error().message;
  zonequake::Probe probe;
  probe.mutable_stream()->mutable_request()->set_url("https://x");
  access->attach(probe);
  EXPECT_EQ(probe.stream().request().ca_pem(), pem);
  EXPECT_FALSE(probe.stream().request().insecure());
  file("not a certificate");
  EXPECT_THAT(authorization(), HasSubstr("ca of system 'mesos'"));
}

TEST_F(AccessTest, AHeaderOfTheProbeStaysAndOtherProbesAreLeftAlone) {
  system_.access.credentials = file("token");
  const auto access = resolve_access(system_, login_);
  ASSERT_TRUE(access);
  zonequake::Probe probe;
  (*probe.mutable_http()->mutable_headers())["authorization"] = "own";
  access->attach(probe);
  EXPECT_EQ(probe.http().headers().size(), 1U);
  zonequake::Probe tcp;
  tcp.mutable_tcp()->set_host("127.0.0.1");
  const std::string before = tcp.SerializeAsString();
  access->attach(tcp);
  EXPECT_EQ(tcp.SerializeAsString(), before);
}

// Only the probes of the system itself carry them.
TEST_F(AccessTest, TheHubAttachesThemToTheSystemsProbes) {
  const std::string text = R"(name = "two"
[[region]]
name = "r"
[[region.zone]]
name = "a"
node = [{ name = "a1", addresses = ["10.66.1.1"], agent = "10.66.1.1:4270" }]
[[region.zone]]
name = "b"
node = [{ name = "b1", addresses = ["10.66.2.1"], agent = "10.66.2.1:4270" }]
[[system]]
name = "guarded"
kind = "etcd"
nodes = "zone:a"
endpoint = "https://{ip}:2379"
credentials = ")" + file("user:" + std::string(kSecret)) +
                           R"("
[[system]]
name = "open"
kind = "etcd"
nodes = "zone:b"
endpoint = "http://{ip}:2379"
)";
  const auto cluster = parse_cluster(text, "two.toml");
  ASSERT_TRUE(cluster) << cluster.error().message;
  const Experiment experiment;
  const auto hub = SignalHub::make(*cluster, experiment, "run", "");
  ASSERT_TRUE(hub) << hub.error().message;
  const auto sets = (*hub)->probe_sets({}, false);
  ASSERT_GT(sets[0].probes_size(), 0);
  ASSERT_GT(sets[1].probes_size(), 0);
  for (const auto& probe : sets[0].probes())
    EXPECT_THAT(probe.http().headers().at("Authorization"), testing::StartsWith("Basic "));
  for (const auto& probe : sets[1].probes())
    EXPECT_FALSE(probe.http().headers().contains("Authorization"));
}

}  // namespace
}  // namespace zq
