// Credentials of a system are used and occur nowhere: not in the database, an export, a plan, nor
// in anything printed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/e2e/bare_experiments.h"
#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

constexpr const char* kPassword = "correct-horse-battery";
constexpr const char* kCredentials = "probe:correct-horse-battery";
constexpr const char* kEncoded = "cHJvYmU6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5";  // base64 of it

// What an etcd with a single member would answer, to those who are let in; on a unix socket, which
// reaches into any network namespace.
class GuardedEtcd {
 public:
  explicit GuardedEtcd(std::string path) : path_(std::move(path)) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(listener_, 64) != 0) {
      throw std::runtime_error("a unix socket for the test");
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }
  GuardedEtcd(const GuardedEtcd&) = delete;
  GuardedEtcd& operator=(const GuardedEtcd&) = delete;
  ~GuardedEtcd() {
    thread_.request_stop();
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  [[nodiscard]] int let_in() const { return let_in_; }
  [[nodiscard]] int turned_away() const { return turned_away_; }

 private:
  void serve(const std::stop_token& stop) {
    while (true) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0 || stop.stop_requested()) return;
      const timeval patience{.tv_sec = 2, .tv_usec = 0};
      ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      answer(connection);
      ::close(connection);
    }
  }

  void answer(int connection) {
    std::string head;
    std::array<char, 4096> buffer;
    while (head.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = ::recv(connection, buffer.data(), buffer.size(), 0);
      if (got <= 0) return;
      head.append(buffer.data(), static_cast<std::size_t>(got));
    }
    const bool known =
        head.find(std::string("Authorization: Basic ") + kEncoded + "\r\n") != std::string::npos;
    ++(known ? let_in_ : turned_away_);
    const std::string status = known ? "200 OK" : "401 Unauthorized";
    // An answer that repeats what it was sent must not carry it into the store either.
    const std::string body =
        R"({"header":{"member_id":"1"},"leader":"1","version":"3.4.23","health":"true",)"
        R"("members":[{"ID":"1","name":"a1"}],"echo":")" +
        std::string(known ? kEncoded : "") + R"("})";
    const std::string text = "HTTP/1.1 " + status +
                             "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                             body;
    (void)::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
  }

  std::string path_;
  int listener_ = -1;
  std::atomic<int> let_in_{0};
  std::atomic<int> turned_away_{0};
  std::jthread thread_;
};

struct Folder {
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "zq-guarded-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void expect_no_secret(const std::string& text, const std::string& where) {
  for (const char* secret : {kPassword, kEncoded})
    EXPECT_EQ(text.find(secret), std::string::npos) << secret << " is in " << where;
}

std::string system_table(const std::string& socket, const std::string& credentials) {
  return "\n[[system]]\nname = \"guarded\"\nkind = \"etcd\"\nnodes = \"zone:a\"\nendpoint = "
         "\"unix:" +
         socket + "\"\ncredentials = \"" + credentials + "\"\n";
}

TEST(Credentials, AreUsedAndOccurNowhere) {
  const Folder folder;
  const std::string& dir = folder.path;
  const std::string socket = dir + "/etcd.sock";
  std::ofstream(dir + "/secret") << kCredentials << "\n";
  const GuardedEtcd etcd(socket);
  Workspace work("bare-3-zones.toml", [&](std::string& text) {
    text += system_table(socket, "file:" + dir + "/secret");
  });
  const std::string experiment = work.file("cut.toml", partition_experiment("4s"));
  const auto plan = run_to_end(
      {zonequake(), "plan", experiment, "--cluster", work.cluster_file(), "--json"}, seconds(30));
  expect_no_secret(plan.out + plan.err, "the plan");
  const auto done = run_to_end(work.run_command(experiment), seconds(120));
  EXPECT_EQ(done.exit_code, 0) << done.out << done.err;
  EXPECT_GT(etcd.let_in(), 0);
  EXPECT_EQ(etcd.turned_away(), 0);
  expect_no_secret(done.out + done.err, "what the run printed");
  for (const char* command : {"show", "export"}) {
    const auto printed = run_to_end({zonequake(), command, "last", "--db", work.db()}, seconds(30));
    EXPECT_EQ(printed.exit_code, 0) << printed.err;
    EXPECT_THAT(printed.out, HasSubstr("Zone b is cut off"));
    expect_no_secret(printed.out + printed.err, command);
  }
  std::size_t files = 0;
  for (const char* suffix : {"", "-wal", "-shm"}) {
    const std::string path = work.db() + suffix;
    if (!std::filesystem::exists(path)) continue;
    ++files;
    expect_no_secret(read_all(path), path);
  }
  EXPECT_GT(files, 0U);
  // The record still says where they were.
  EXPECT_THAT(value_of(work.store().run(1)).cluster_text,
              HasSubstr("credentials = \"file:" + dir + "/secret\""));
}

TEST(Credentials, MissingOnesAreSaidBeforeAnythingIsTouched) {
  Workspace work("bare-3-zones.toml", [&](std::string& text) {
    text += system_table("/nowhere.sock", "env:ZQ_NO_SUCH_CREDENTIALS");
  });
  const std::string experiment = work.file("cut.toml", partition_experiment("4s"));
  const auto done = run_to_end(work.run_command(experiment), seconds(60));
  EXPECT_EQ(done.exit_code, 64) << done.out << done.err;
  EXPECT_THAT(done.err, HasSubstr("credentials of system 'guarded': the environment has no "
                                  "ZQ_NO_SUCH_CREDENTIALS"));
}

}  // namespace
}  // namespace zq::e2e
