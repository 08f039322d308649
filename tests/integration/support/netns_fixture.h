// Network namespaces, veth pairs and sockets for tests. Header-only. Everything is named after the
// process and a counter, so that tests can run side by side, and goes away with its object.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "agent/base/netns.h"
#include "agent/base/unique_fd.h"

namespace zq::test {

inline std::string unique_name(std::string_view prefix) {
  static std::atomic<int> counter{0};
  return fmt::format("{}{}x{}", prefix, ::getpid(), ++counter);
}

// Runs a shell command; throws with the command in the message when it fails.
inline void shell(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

// Polls until `condition` holds; false when the deadline passed.
inline bool wait_until(const std::function<bool()>& condition,
                       std::chrono::milliseconds deadline = std::chrono::seconds(5)) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

class TempDir {
 public:
  TempDir() {
    std::string path = std::filesystem::temp_directory_path() / "zq-test-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = path;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class TestNetns {
 public:
  TestNetns() : name_(unique_name("zqt")), owned_(true) {
    shell("ip netns add " + name_);
    open();
    ip("link set lo up");
  }
  // A namespace under /run/netns that somebody else made and removes.
  explicit TestNetns(std::string name) : name_(std::move(name)) { open(); }
  TestNetns(const TestNetns&) = delete;
  TestNetns& operator=(const TestNetns&) = delete;
  ~TestNetns() { remove(); }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

  // ip(8) and tc(8) inside.
  void ip(const std::string& arguments) const { shell("ip -n " + name_ + " " + arguments); }
  void tc(const std::string& arguments) const { shell("tc -n " + name_ + " " + arguments); }

  // Runs on a thread inside and waits. Exceptions come out again.
  template <class Work>
  auto run(Work work) const -> decltype(work()) {
    using Value = decltype(work());
    std::exception_ptr thrown;
    if constexpr (std::is_void_v<Value>) {
      enter([&] { work(); }, thrown);
      if (thrown) std::rethrow_exception(thrown);
    } else {
      std::optional<Value> value;
      enter([&] { value.emplace(work()); }, thrown);
      if (thrown) std::rethrow_exception(thrown);
      return std::move(*value);
    }
  }

  [[nodiscard]] unsigned device_index(const std::string& device) const {
    return run([&] { return ::if_nametoindex(device.c_str()); });
  }

 private:
  void enter(const std::function<void()>& work, std::exception_ptr& thrown) const {
    const Status status = in_netns(fd_.get(), [&]() -> Status {
      try {
        work();
      } catch (...) {
        thrown = std::current_exception();
      }
      return {};
    });
    if (!status) throw std::runtime_error(status.error().message);
  }
  void open() {
    auto fd = open_netns(name_);
    if (!fd) {
      remove();
      throw std::runtime_error(fd.error().message);
    }
    fd_ = std::move(*fd);
  }
  void remove() const {
    if (owned_) (void)std::system(("ip netns del " + name_).c_str());
  }

  std::string name_;
  bool owned_ = false;
  UniqueFd fd_;
};

// Joins two namespaces by a veth pair; both ends are up.
inline void connect_veth(const TestNetns& a, const std::string& device_a, const TestNetns& b,
                         const std::string& device_b) {
  shell(fmt::format("ip -n {} link add {} type veth peer name {} netns {}", a.name(), device_a,
                    device_b, b.name()));
  a.ip("link set " + device_a + " up");
  b.ip("link set " + device_b + " up");
}

// Adds an address ("10.66.0.1/24", "fd66::1/64") that is usable at once.
inline void add_address(const TestNetns& netns, const std::string& device,
                        const std::string& address) {
  const bool v6 = address.find(':') != std::string::npos;
  netns.ip(fmt::format("addr add {} dev {}{}", address, device, v6 ? " nodad" : ""));
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  SocketAddress(const std::string& address, std::uint16_t port) {
    if (address.find(':') != std::string::npos) {
      auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(port);
      if (::inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) != 1)
        throw std::runtime_error(address);
      size = sizeof *v6;
    } else {
      auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
      v4->sin_family = AF_INET;
      v4->sin_port = htons(port);
      if (::inet_pton(AF_INET, address.c_str(), &v4->sin_addr) != 1)
        throw std::runtime_error(address);
      size = sizeof *v4;
    }
  }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// A UDP socket inside a namespace, bound to an address and port.
class UdpSocket {
 public:
  UdpSocket(const TestNetns& netns, const std::string& address, std::uint16_t port) {
    const SocketAddress local(address, port);
    fd_ = netns.run([&] {
      UniqueFd fd(::socket(local.get()->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const int buffer = 64 << 20;
      (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
      if (!fd || ::bind(fd.get(), local.get(), local.size) != 0) {
        throw std::runtime_error("bind " + address + ": " + std::strerror(errno));
      }
      return fd;
    });
  }

  // 0, or the errno that the sender saw.
  int send(const SocketAddress& to, const void* data, std::size_t size) const {
    return ::sendto(fd_.get(), data, size, 0, to.get(), to.size) < 0 ? errno : 0;
  }
  int send(const std::string& address, std::uint16_t port, std::string_view text = "x") const {
    return send(SocketAddress(address, port), text.data(), text.size());
  }
  // Datagrams that have arrived, without waiting.
  std::size_t drain(const std::function<void(std::string_view)>& each = nullptr) const {
    char buffer[2048];
    std::size_t count = 0;
    for (;;) {
      const ssize_t size = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (size < 0) return count;
      ++count;
      if (each) each(std::string_view(buffer, static_cast<std::size_t>(size)));
    }
  }
  // Whether a datagram arrives in time; takes it.
  [[nodiscard]] bool receive(std::chrono::milliseconds deadline = std::chrono::seconds(2)) const {
    const timeval wait{deadline.count() / 1000, (deadline.count() % 1000) * 1000};
    (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    char buffer[2048];
    return ::recv(fd_.get(), buffer, sizeof buffer, 0) >= 0;
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

// "" when the Result or Status holds a value, else its message; for EXPECT_EQ(error_of(x), "").
template <class T>
std::string error_of(const Result<T>& result) {
  return result ? std::string() : result.error().message;
}

// The value, or an exception that fails the test with the message.
template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}
inline void check(const Status& status) {
  if (!status) throw std::runtime_error(status.error().message);
}

}  // namespace zq::test
