#include "controller/testbed/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>
#include <type_traits>

// Boost.Process v2 in 1.81 does not include all that it needs: these come first.
#include <boost/asio/io_context.hpp>
#include <boost/optional.hpp>
#include <boost/process/v2/posix/default_launcher.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/type_traits.hpp>

#include "agent/base/netns.h"
#include "agent/base/unique_fd.h"
#include "controller/testbed/cgroups.h"
#include "controller/testbed/files.h"

namespace zq::testbed {
namespace {

namespace bp = boost::process::v2;

constexpr auto kPoll = std::chrono::milliseconds(10);
constexpr int kExecFailed = 127;

// The state letter and the start time of /proc/PID/stat. The second field, the command's name, may
// hold anything, so that one counts from its last parenthesis.
std::optional<std::pair<char, std::uint64_t>> read_stat(pid_t pid) {
  const auto text = read_file(fmt::format("/proc/{}/stat", pid));
  if (!text) return std::nullopt;
  const auto end = text->rfind(')');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream fields(text->substr(end + 1));
  char state = '\0';
  fields >> state;
  constexpr int kFieldsBetween = 18;  // ppid ... itrealvalue
  std::string skipped;
  for (int i = 0; i < kFieldsBetween; ++i) fields >> skipped;
  std::uint64_t start = 0;
  fields >> start;
  if (!fields) return std::nullopt;
  return std::pair(state, start);
}

// What happens in the new process before the program. Between fork and exec of a process with
// threads only plain system calls are safe, so everything is prepared by the parent.
struct ChildSetup {
  pid_t parent = 0;
  int cgroup = -1;
  int netns = -1;
  const char* directory = nullptr;
  std::array<int, 3> stdio{-1, -1, -1};
  char* const* env = nullptr;

  bp::error_code on_exec_setup(bp::posix::default_launcher& launcher,
                               const bp::filesystem::path& program, const char* const*(&argv)) {
    // The launcher's way to tell the parent, which its own exit() would follow with our handlers.
    const int report = launcher.fd_whitelist.back();
    if (enter(report)) ::execve(program.c_str(), const_cast<char* const*>(argv), env);
    const int error = errno;
    [[maybe_unused]] const ssize_t written = ::write(report, &error, sizeof error);
    ::_exit(kExecFailed);
  }

 private:
  [[nodiscard]] bool enter(int report) const {
    // Until it is in the cgroup nobody else could find it: if the parent dies, so does it.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) return false;
    if (cgroup >= 0 && ::write(cgroup, "0", 1) != 1) return false;
    if (::prctl(PR_SET_PDEATHSIG, 0) != 0) return false;
    if (netns >= 0 && ::setns(netns, CLONE_NEWNET) != 0) return false;
    if (stdio[0] >= 0 && ::setsid() < 0) return false;
    if (directory != nullptr && ::chdir(directory) != 0) return false;
    for (int target = 0; target < 3; ++target) {
      const int source = stdio[static_cast<std::size_t>(target)];
      if (source >= 0 && ::dup2(source, target) < 0) return false;
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int signal : {SIGPIPE, SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGCHLD}) {
      ::signal(signal, SIG_DFL);
    }
    ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    return ::fcntl(report, F_SETFD, FD_CLOEXEC) == 0;
  }
};

Result<UniqueFd> open_for(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (!fd) return fail_errno(errno, fmt::format("opening {}", path));
  return fd;
}

// Never run: the processes are polled, so that nothing happens in callbacks.
boost::asio::io_context& context() {
  static boost::asio::io_context instance;
  return instance;
}

}  // namespace

Result<Identity> identity_of(pid_t pid) {
  const auto stat = read_stat(pid);
  if (stat && stat->first != 'Z' && stat->first != 'X') return Identity{pid, stat->second};
  return fail(ErrorCode::kNotFound, "there is no process {}", pid);
}

bool is_alive(const Identity& identity) {
  const auto current = identity_of(identity.pid);
  return current && current->start_ticks == identity.start_ticks;
}

Status write_identity(const std::string& path, const Identity& identity) {
  return write_file(path, fmt::format("{} {}\n", identity.pid, identity.start_ticks));
}

Result<Identity> read_identity(const std::string& path) {
  ZQ_TRY(const std::string text, read_file(path));
  std::istringstream in(text);
  Identity identity;
  in >> identity.pid >> identity.start_ticks;
  if (!in || identity.pid <= 0) {
    return fail(ErrorCode::kInternal, "{} does not hold a process's identity", path);
  }
  return identity;
}

struct Child::Impl {
  bp::process process;
};

Child::Child(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Child::Child(Child&&) noexcept = default;
Child& Child::operator=(Child&& other) noexcept {
  if (impl_) impl_->process.detach();
  impl_ = std::move(other.impl_);
  identity_ = other.identity_;
  return *this;
}
Child::~Child() {
  if (impl_) impl_->process.detach();
}

Result<std::optional<int>> Child::poll() {
  boost::system::error_code code;
  if (impl_->process.running(code)) return std::optional<int>();
  if (code) return fail_errno(code.value(), fmt::format("waiting for process {}", identity_.pid));
  const auto native = impl_->process.native_exit_code();
  if (WIFSIGNALED(native)) return std::optional(128 + WTERMSIG(native));
  return std::optional(WEXITSTATUS(native));
}

Result<std::optional<int>> Child::wait_until(MonoTime deadline) {
  for (;;) {
    ZQ_TRY(const auto code, poll());
    if (code || mono_now() >= deadline) return code;
    std::this_thread::sleep_for(kPoll);
  }
}

void Child::kill_session() {
  if (impl_->process.is_open()) ::kill(-identity_.pid, SIGKILL);
}

Result<Child> spawn(const SpawnRequest& request) {
  const std::string& program = request.argv.front();
  if (::access(program.c_str(), X_OK) != 0) {
    return fail(ErrorCode::kNotFound, "{} cannot be run: it is missing or not executable", program);
  }
  UniqueFd cgroup_fd;
  if (!request.cgroup.empty()) {
    ZQ_TRY(const std::string cgroup, create_cgroup(request.cgroup));
    ZQ_TRY(cgroup_fd, open_for(cgroup + "/cgroup.procs", O_WRONLY));
  }
  UniqueFd netns_fd;
  if (!request.netns.empty()) {
    ZQ_TRY(netns_fd, open_netns(request.netns));
  }
  UniqueFd input;
  UniqueFd output;
  UniqueFd errors;
  if (!request.output.empty()) {
    ZQ_TRY(input, open_for("/dev/null", O_RDONLY));
    ZQ_TRY(output, open_for(request.output, O_WRONLY | O_CREAT | O_APPEND));
    ZQ_TRY(errors, open_for(request.errors, O_WRONLY | O_CREAT | O_APPEND));
  }
  std::vector<char*> env;
  for (const std::string& entry : request.env) env.push_back(const_cast<char*>(entry.c_str()));
  env.push_back(nullptr);
  const std::vector<std::string> arguments(request.argv.begin() + 1, request.argv.end());

  ChildSetup setup;
  setup.cgroup = cgroup_fd.get();
  setup.netns = netns_fd.get();
  setup.directory = request.directory.empty() ? nullptr : request.directory.c_str();
  setup.stdio = {input.get(), output.get(), errors.get()};
  setup.env = env.data();
  setup.parent = ::getpid();

  static std::mutex mutex;  // telling the context of a fork is not thread-safe
  const std::lock_guard lock(mutex);
  boost::system::error_code code;
  auto process = bp::posix::default_launcher()(context().get_executor(), code,
                                               bp::filesystem::path(program), arguments, setup);
  if (code) return fail_errno(code.value(), fmt::format("starting {}", program));
  Child child(std::make_unique<Child::Impl>(Child::Impl{std::move(process)}));
  const pid_t pid = child.impl_->process.id();
  // It may be a zombie already, which still has its start time.
  const auto stat = read_stat(pid);
  child.identity_ = Identity{pid, stat ? stat->second : 0};
  return child;
}

Status await_death(const Identity& identity, Nanos patience) {
  const MonoTime deadline = mono_now() + patience;
  for (;;) {
    const auto stat = read_stat(identity.pid);
    if (!stat || stat->second != identity.start_ticks) return {};
    const bool ours = ::waitpid(identity.pid, nullptr, WNOHANG) >= 0;
    if (!ours && !is_alive(identity)) return {};  // a zombie of somebody else's
    if (mono_now() > deadline) {
      return fail(ErrorCode::kTimeout, "process {} does not die", identity.pid);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace zq::testbed
