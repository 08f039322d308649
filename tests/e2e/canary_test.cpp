// `zonequake canary` against a real Swarm, and against a Marathon that starts what it is told to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using testing::HasSubstr;

std::string agent() { return std::filesystem::path(zonequake()).parent_path() / "zonequake-agent"; }

std::vector<std::string> canary(const std::string& what, const std::string& cluster) {
  std::vector<std::string> command{zonequake(), "canary", what, "--cluster", cluster};
  if (what == "deploy") command.insert(command.end(), {"--agent-path", agent()});
  return command;
}

constexpr const char* kApp =
    "[[app]]\nname = \"web\"\nsystem = \"SYSTEM\"\nreplicas = 3\nports = \"18080-18089\"\n";

std::string app_of(const std::string& system) {
  std::string text = kApp;
  return text.replace(text.find("SYSTEM"), 6, system);
}

TEST(Canary, IsDeployedAndRemovedThroughARealSwarm) {
  const Workspace work("swarm-one-zone.toml",
                       [](std::string& text) { text.erase(text.find("[[app]]")); });
  // The same cluster, once it is up, with an app that the recipe does not know of.
  std::ifstream file(work.cluster_file());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string cluster = work.file("with-app.toml", text + app_of("swarm"));
  const auto up =
      run_to_end({zonequake(), "testbed", "up", "--cluster", work.cluster_file()}, seconds(180));
  ASSERT_EQ(up.exit_code, 0) << up.out << up.err;

  const auto missing = run_to_end(canary("status", cluster), seconds(30));
  EXPECT_EQ(missing.exit_code, 1) << missing.err;
  EXPECT_THAT(missing.out, HasSubstr("web (swarm): not deployed; 0 of 3 answer"));
  const auto deployed = run_to_end(canary("deploy", cluster), seconds(150));
  EXPECT_EQ(deployed.exit_code, 0) << deployed.out << deployed.err;
  EXPECT_THAT(deployed.out, HasSubstr("3 of 3 answer, 1 in zone a, 1 in zone b, 1 in zone c"));
  const auto seen = run_to_end(canary("status", cluster), seconds(30));
  EXPECT_EQ(seen.exit_code, 0) << seen.out << seen.err;
  const auto removed = run_to_end(canary("remove", cluster), seconds(150));
  EXPECT_EQ(removed.exit_code, 0) << removed.out << removed.err;
  const auto images = run_to_end(
      {zonequake(), "testbed", "exec", "-c", cluster, "b1", "--", "/bin/sh", "-c",
       "docker -H unix://$ZQ_DIR/docker.sock images --quiet --filter label=zonequake=canary"},
      seconds(30));
  EXPECT_EQ(images.out, "") << images.err;
  const auto down = run_to_end({zonequake(), "testbed", "down", "--cluster", cluster}, seconds(60));
  EXPECT_EQ(down.exit_code, 0) << down.err;
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

// Keeps apps, and runs each one's command in three nodes of the testbed as Mesos would.
class StartingMarathon {
 public:
  StartingMarathon(const std::string& path, std::vector<std::string> namespaces)
      : namespaces_(std::move(namespaces)) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(listener_, 64) != 0) {
      throw std::runtime_error("a unix socket for the test");
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }
  StartingMarathon(const StartingMarathon&) = delete;
  StartingMarathon& operator=(const StartingMarathon&) = delete;
  ~StartingMarathon() {
    thread_.request_stop();
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

 private:
  void serve(const std::stop_token& stop) {
    while (true) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0 || stop.stop_requested()) return;
      const timeval patience{.tv_sec = 2, .tv_usec = 0};
      ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      const auto [status, body] = answer(read_request(connection));
      const std::string text = "HTTP/1.1 " + std::to_string(status) +
                               " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                               body;
      (void)::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
      ::close(connection);
    }
  }

  static std::string read_request(int connection) {
    std::string request;
    std::array<char, 4096> buffer;
    std::size_t whole = std::string::npos;
    while (request.size() < whole) {
      const ssize_t got = ::recv(connection, buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      request.append(buffer.data(), static_cast<std::size_t>(got));
      const auto end = request.find("\r\n\r\n");
      if (end == std::string::npos || whole != std::string::npos) continue;
      const auto length = request.find("Content-Length: ");
      whole = end + 4 + (length < end ? std::stoul(request.substr(length + 16)) : 0);
    }
    return request;
  }

  std::pair<int, std::string> answer(const std::string& request) {
    if (request.starts_with("GET /v2/info ")) return {200, R"({"version":"1.8.222"})"};
    if (request.starts_with("PUT /v2/apps/web ")) {
      app_ = json::parse(request.substr(request.find("\r\n\r\n") + 4));
      for (std::size_t i = 0; i < app_->at("instances").get<std::size_t>(); ++i) {
        tasks_.push_back(std::make_unique<Running>(std::vector<std::string>{
            "/usr/bin/env", "MESOS_TASK_ID=web." + std::to_string(i), "/usr/bin/nsenter",
            "--net=/run/netns/" + namespaces_[i % namespaces_.size()], "/bin/sh", "-c",
            app_->at("cmd").get<std::string>()}));
      }
      return {201, "{}"};
    }
    if (!app_) return {404, R"({"message":"App '/web' does not exist"})"};
    if (request.starts_with("DELETE /v2/apps/web")) {
      tasks_.clear();
      app_.reset();
      return {200, "{}"};
    }
    json app = *app_;
    app["tasksRunning"] = tasks_.size();
    return {200, json{{"app", app}}.dump()};
  }

  const std::vector<std::string> namespaces_;
  int listener_ = -1;
  std::optional<json> app_;
  std::vector<std::unique_ptr<Running>> tasks_;
  std::jthread thread_;
};

TEST(Canary, IsDeployedAndRemovedThroughMarathon) {
  std::string socket;
  Workspace work("bare-3-zones.toml", [&](std::string& text) {
    socket = (std::filesystem::temp_directory_path() /
              ("zq-marathon-" + std::to_string(::getpid()) + ".sock"))
                 .string();
    text +=
        "\n[[system]]\nname = \"marathon\"\nkind = \"marathon\"\nnodes = \"role:master\"\n"
        "endpoint = \"unix:" +
        socket + "\"\n" + app_of("marathon");
  });
  const auto up =
      run_to_end({zonequake(), "testbed", "up", "--cluster", work.cluster_file()}, seconds(60));
  ASSERT_EQ(up.exit_code, 0) << up.out << up.err;
  {
    const StartingMarathon marathon(socket, {work.netns("a2"), work.netns("b2"), work.netns("c2")});
    const auto deployed = run_to_end(canary("deploy", work.cluster_file()), seconds(150));
    EXPECT_EQ(deployed.exit_code, 0) << deployed.out << deployed.err;
    EXPECT_THAT(deployed.out, HasSubstr("web (marathon): 3 wanted, 3 running; 3 of 3 answer, 1 in "
                                        "zone a, 1 in zone b, 1 in zone c"));
    const auto removed = run_to_end(canary("remove", work.cluster_file()), seconds(150));
    EXPECT_EQ(removed.exit_code, 0) << removed.out << removed.err;
    EXPECT_THAT(removed.out, HasSubstr("not deployed; 0 of 3 answer"));
  }
  std::filesystem::remove(socket);
  const auto down =
      run_to_end({zonequake(), "testbed", "down", "--cluster", work.cluster_file()}, seconds(60));
  EXPECT_EQ(down.exit_code, 0) << down.err;
}

}  // namespace
}  // namespace zq::e2e
