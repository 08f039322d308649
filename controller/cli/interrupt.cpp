#include "controller/cli/interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <thread>

namespace zq {
namespace {

std::array<int, 2> pipe_ends{-1, -1};

void on_signal(int) {
  const int saved = errno;
  const char byte = 1;
  [[maybe_unused]] const auto written = ::write(pipe_ends[1], &byte, 1);
  errno = saved;
}

void say(std::string_view text) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

std::stop_source& source() {
  static std::stop_source instance;
  return instance;
}

bool install() {
  if (::pipe2(pipe_ends.data(), O_CLOEXEC) != 0) return false;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  std::thread([] {
    char byte = 0;
    while (true) {
      const ssize_t got = ::read(pipe_ends[0], &byte, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return;
      if (source().request_stop()) {
        say("\nstopping: healing and cleaning up\n");
      } else {
        say("\nstill cleaning up; every fault ends by itself within seconds even if this fails\n");
      }
    }
  }).detach();
  return true;
}

}  // namespace

std::stop_token interrupt_token() {
  static const bool installed = install();
  static_cast<void>(installed);
  return source().get_token();
}

}  // namespace zq
