// Runs a command without a shell, in a process group of its own; its output is the answer.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/unique_fd.h"
#include "agent/probe/attempt.h"

namespace zq {
namespace {

using zonequake::Observation;

constexpr std::size_t kMaxOutput = std::size_t{1} << 20;
constexpr std::size_t kMaxComplaint = 4096;  // of stderr, for people
constexpr int kReadsAtOnce = 128;            // more than the largest pipe and the limit need
constexpr int kDeathMs = 20;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  // Only our end: the child must find its own as every program expects it.
  if (::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno(errno, "fcntl");
  return pipe;
}

// posix_spawn instead of Boost.Process 1.81: its launchers fork a multi-threaded process, run the
// atexit handlers in a child that cannot exec and leave it a zombie; its handle hides the pidfd.
Result<pid_t> spawn(const std::vector<std::string>& words, int out, int complaint) {
  struct Actions {
    posix_spawn_file_actions_t value;
    Actions() { posix_spawn_file_actions_init(&value); }
    ~Actions() { posix_spawn_file_actions_destroy(&value); }
  } actions;
  struct Attributes {
    posix_spawnattr_t value;
    Attributes() { posix_spawnattr_init(&value); }
    ~Attributes() { posix_spawnattr_destroy(&value); }
  } attributes;

  // The engine's thread blocks all signals, and daemons ignore SIGPIPE; a command expects neither.
  sigset_t none;
  sigset_t standard;
  sigemptyset(&none);
  sigemptyset(&standard);
  sigaddset(&standard, SIGPIPE);
  int error = posix_spawnattr_setflags(
      &attributes.value, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const auto keep_first = [&error](int next) { error = error != 0 ? error : next; };
  keep_first(posix_spawnattr_setpgroup(&attributes.value, 0));
  keep_first(posix_spawnattr_setsigmask(&attributes.value, &none));
  keep_first(posix_spawnattr_setsigdefault(&attributes.value, &standard));
  keep_first(posix_spawn_file_actions_adddup2(&actions.value, out, STDOUT_FILENO));
  keep_first(posix_spawn_file_actions_adddup2(&actions.value, complaint, STDERR_FILENO));
  keep_first(
      posix_spawn_file_actions_addopen(&actions.value, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
  keep_first(posix_spawn_file_actions_addclosefrom_np(&actions.value, STDERR_FILENO + 1));
  if (error != 0) return fail_errno(error, "posix_spawn attributes");

  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  error = posix_spawnp(&pid, argv[0], &actions.value, &attributes.value, argv.data(), environ);
  if (error != 0) return fail_errno(error, fmt::format("cannot run {}", words.front()));
  return pid;
}

class ExecAttempt : public Attempt {
 public:
  // `handle` is the child's pidfd: readable once it has ended.
  ExecAttempt(pid_t child, UniqueFd handle, UniqueFd out, UniqueFd complaint)
      : child_(child),
        handle_(std::move(handle)),
        out_(std::move(out)),
        complaint_(std::move(complaint)) {}

  ~ExecAttempt() override {
    if (child_ <= 0) return;
    kill_group();
    pollfd ended{.fd = handle_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ended, 1, kDeathMs) > 0)
      reap(child_);
    else  // stuck in the kernel: its end may take any time, and all other probes would wait for it
      std::thread([child = child_] { reap(child); }).detach();
  }

  void collect(std::vector<DescriptorWait>& waits) const override {
    waits.push_back({.fd = handle_.get()});
    if (out_) waits.push_back({.fd = out_.get()});
    if (complaint_) waits.push_back({.fd = complaint_.get()});
  }

  std::optional<ProbeResult> advance() override {
    // Asked before reading: what the child had written before its end is then read to the last
    // byte.
    const bool ended = has_ended();
    drain(out_, output_, kMaxOutput + 1);
    drain(complaint_, said_, kMaxComplaint);
    if (output_.size() > kMaxOutput)
      return failed_result(fmt::format("the output is larger than {} MiB", kMaxOutput >> 20));
    if (!ended) return std::nullopt;
    return result();
  }

  ProbeResult time_out() override {
    return {.outcome = Observation::TIMED_OUT, .error = "the command did not end in time"};
  }

 private:
  [[nodiscard]] bool has_ended() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
  }

  // Also what the command left in the background. Until the child is reaped, its id and so the
  // group's belong to nobody else.
  void kill_group() const { ::kill(-child_, SIGKILL); }

  static int reap(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  // Keeps the first `limit` bytes. Bounded: the child may write faster than it is read.
  static void drain(UniqueFd& pipe, std::string& into, std::size_t limit) {
    std::array<char, 16384> buffer;
    for (int reads = 0; pipe && reads < kReadsAtOnce; ++reads) {
      const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
      if (got > 0)
        into.append(buffer.data(), std::min(limit - into.size(), static_cast<std::size_t>(got)));
      else if (got < 0 && errno == EAGAIN)
        return;
      else if (got == 0 || errno != EINTR)
        pipe.reset();
    }
  }

  ProbeResult result() {
    kill_group();
    const int raw = reap(std::exchange(child_, -1));
    ProbeResult result{.outcome = Observation::ANSWER, .body = std::move(output_)};
    if (WIFSIGNALED(raw)) {
      result.status = 128 + WTERMSIG(raw);
      result.error = fmt::format("killed by signal {}", WTERMSIG(raw));
    } else {
      result.status = WEXITSTATUS(raw);
      if (result.status != 0) result.error = std::move(said_);
    }
    return result;
  }

  pid_t child_;
  UniqueFd handle_;
  UniqueFd out_;
  UniqueFd complaint_;
  std::string output_;
  std::string said_;
};

}  // namespace

std::unique_ptr<Attempt> start_exec(const zonequake::ExecProbe& probe) {
  if (probe.argv().empty() || probe.argv(0).empty())
    return start_known(failed_result("the probe has no command"));
  Result<Pipe> out = make_pipe();
  Result<Pipe> complaint = make_pipe();
  if (!out || !complaint)
    return start_known(failed_result((out ? complaint : out).error().message));
  const Result<pid_t> pid =
      spawn({probe.argv().begin(), probe.argv().end()}, out->write.get(), complaint->write.get());
  if (!pid) return start_known(failed_result(pid.error().message));
  UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
  const int handle_error = errno;
  const bool can_wait = static_cast<bool>(handle);
  auto attempt = std::make_unique<ExecAttempt>(*pid, std::move(handle), std::move(out->read),
                                               std::move(complaint->read));
  if (!can_wait) return start_known(result_of_errno(handle_error));
  return attempt;
}

}  // namespace zq
