#include "agent/guardian.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "agent/base/time.h"
#include "agent/process_journal.h"

namespace zq {
namespace {

constexpr Nanos kEndPatience = std::chrono::seconds(1);
constexpr Nanos kSettlePatience = std::chrono::seconds(60);

// Between fork and exec: nothing but system calls.
[[noreturn]] void become_guardian(const char* program, int pipe, char* const* arguments) {
  (void)::setsid();  // a signal to the agent's group or terminal is not for it
  if (::dup2(pipe, STDIN_FILENO) >= 0) {
    // The agent's sockets and locks must not outlive it.
    (void)::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
    sigset_t none;
    ::sigemptyset(&none);
    (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execv(program, arguments);
  }
  ::_exit(127);
}

}  // namespace

Result<Guardian> Guardian::start(const std::string& program, const std::string& state_dir,
                                 const std::string& life) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "making the guardian's pipe");
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  std::string words[] = {"zonequake-agent", "guard", "--state-dir", state_dir, "--life", life};
  char* arguments[std::size(words) + 1] = {};
  for (std::size_t i = 0; i < std::size(words); ++i) arguments[i] = words[i].data();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, "starting the guardian");
  if (pid == 0) become_guardian(program.c_str(), reading.get(), arguments);
  return Guardian(pid, std::move(writing));
}

Guardian::Guardian(Guardian&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pipe_(std::move(other.pipe_)) {}

bool Guardian::alive() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) != 0) pid_ = -1;
  return pid_ > 0;
}

Guardian::~Guardian() {
  pipe_.reset();
  const MonoTime deadline = mono_now() + kEndPatience;
  while (alive() && mono_now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (pid_ <= 0) return;
  (void)::kill(pid_, SIGKILL);
  (void)::waitpid(pid_, nullptr, 0);
}

Status run_guardian(const std::string& state_dir, const std::string& life) {
  // Whoever ends the agent by a signal to all of its processes does not end it before its work.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) (void)::signal(signal, SIG_IGN);
  (void)::prctl(PR_SET_NAME, "zq-guardian");
  char nothing = 0;
  while (true) {
    const ssize_t got = ::read(STDIN_FILENO, &nothing, 1);
    if (got == 0 || (got < 0 && errno != EINTR)) break;
  }
  const MonoTime deadline = mono_now() + kSettlePatience;
  while (true) {
    const auto done = settle_process_journal(state_dir, life);
    if (done) {
      for (const auto& line : *done) fmt::print(stderr, "guardian: the agent is gone: {}\n", line);
      return {};
    }
    if (mono_now() > deadline) return tl::unexpected(done.error());
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

}  // namespace zq
