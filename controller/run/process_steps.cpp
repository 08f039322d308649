#include "controller/run/process_steps.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "agent/base/unique_fd.h"

extern char** environ;

namespace zq {
namespace {

using Kind = ControllerStep::Kind;

constexpr Nanos kPoll = std::chrono::milliseconds(20);
// For processes that were asked to end, before they are killed.
constexpr Nanos kEndPatience = std::chrono::seconds(2);
constexpr std::size_t kOutputKept = 2000;

std::string command_line(const std::vector<std::string>& argv) {
  return fmt::format("{}", fmt::join(argv, " "));
}

// As a shell finds it.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::string rest = path != nullptr ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    std::string candidate = rest.substr(0, colon) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
  }
  return name;
}

// The end of what a command printed, in one line.
std::string take_output(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  if (file) {
    const off_t size = ::lseek(file.get(), 0, SEEK_END);
    const off_t kept = static_cast<off_t>(kOutputKept);
    text.resize(static_cast<std::size_t>(std::min(size, kept)));
    const ssize_t got =
        ::pread(file.get(), text.data(), text.size(), size > kept ? size - kept : 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  return text;
}

Result<std::string> make_output_file() {
  std::string path = (std::filesystem::temp_directory_path() / "zonequake-hook-XXXXXX").string();
  const UniqueFd file(::mkostemp(path.data(), O_CLOEXEC));
  if (!file) return fail_errno(errno, "making a file for a hook's output");
  return path;
}

}  // namespace

ProcessSteps::ProcessSteps(const Cluster& cluster, Testbed* testbed,
                           std::vector<ControllerStep> steps, Sink sink)
    : cluster_(cluster), testbed_(testbed), sink_(std::move(sink)) {
  for (ControllerStep& step : steps) {
    State& state = states_.emplace_back();
    state.record.node = cluster.nodes[step.node].name;
    state.record.step = step.name;
    state.record.target =
        step.kind == Kind::kHook ? command_line(step.argv) : std::string("the testbed's processes");
    state.step = std::move(step);
  }
  for (const State& state : states_) {
    if (state.step.undoes) states_[*state.step.undoes].record.undo = state.record.target;
  }
}

ProcessSteps::~ProcessSteps() {
  for (State& state : states_) {
    if (!state.child || state.done) continue;
    state.child->kill_session();
    (void)take_output(state.output_path);
  }
}

bool ProcessSteps::wanted(const State& state) const {
  if (!state.step.undo) return true;
  if (state.step.undoes) return states_[*state.step.undoes].begun;
  return mono_now() >= *fault_at_ + state.step.since;
}

Status ProcessSteps::take_due(MonoTime now) {
  if (!fault_at_) return {};
  Status first;
  for (State& state : states_) {
    if (state.begun && !state.done) look_after(state);
    if (!state.begun && now >= *fault_at_ + state.step.at) begin(state);
    if (state.done && !state.step.undo && !state.record.error.empty() && first) {
      first = fail(ErrorCode::kUnavailable, "{} on {} failed: {} ({})", state.record.step,
                   state.record.node, state.record.error, state.record.target);
    }
  }
  return first;
}

void ProcessSteps::undo_all() {
  if (!fault_at_) return;
  const auto running = [this] {
    return std::any_of(states_.begin(), states_.end(),
                       [](const State& state) { return state.begun && !state.done; });
  };
  const auto wait = [&] {
    while (running()) {
      for (State& state : states_) {
        if (state.begun && !state.done) look_after(state);
      }
      if (running()) std::this_thread::sleep_for(kPoll);
    }
  };
  wait();  // each of them ends at its time-out at the latest
  for (State& state : states_) {
    if (state.step.undo && !state.begun && wanted(state)) begin(state);
  }
  wait();
}

std::vector<std::string> ProcessSteps::take_problems() { return std::exchange(problems_, {}); }

void ProcessSteps::begin(State& state) {
  state.begun = true;
  if (!wanted(state)) {
    state.done = true;
    return;
  }
  state.record.planned_mono_ns = to_ns(*fault_at_ + state.step.at);
  state.record.began_mono_ns = to_ns(mono_now());
  sink_(state.record);
  switch (state.step.kind) {
    case Kind::kHook:
      begin_hook(state);
      return;
    case Kind::kKill: {
      const Status killed = testbed_->kill({state.record.node});
      end(state, killed ? "" : killed.error().message);
      return;
    }
    case Kind::kStart: {
      const Status started = restart(state);
      end(state, started ? "" : started.error().message);
      return;
    }
  }
}

Status ProcessSteps::restart(const State& state) {
  const std::string& node = state.record.node;
  const auto& names = state.step.processes;
  // What was asked to end and goes on must not be taken for what was started again.
  const MonoTime deadline = mono_now() + kEndPatience;
  while (true) {
    ZQ_TRY(const auto processes, testbed_->status());
    const bool alive = std::any_of(processes.begin(), processes.end(), [&](const auto& one) {
      return one.alive && one.node == node && one.name != kTestbedAgent &&
             (names.empty() || std::find(names.begin(), names.end(), one.name) != names.end());
    });
    if (!alive) break;
    if (mono_now() >= deadline) {
      if (!names.empty()) {
        return fail(ErrorCode::kTimeout, "{} goes on although it was told to end",
                    fmt::join(names, " "));
      }
      ZQ_CHECK(testbed_->kill({node}));
      break;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return testbed_->restart({node});
}

void ProcessSteps::begin_hook(State& state) {
  auto output = make_output_file();
  if (!output) {
    end(state, output.error().message);
    return;
  }
  state.output_path = std::move(*output);
  testbed::SpawnRequest request;
  request.argv = state.step.argv;
  request.argv.front() = find_program(request.argv.front());
  for (char** entry = environ; *entry != nullptr; ++entry) request.env.emplace_back(*entry);
  request.output = request.errors = state.output_path;
  auto child = testbed::spawn(request);
  if (!child) {
    end(state, child.error().message);
    return;
  }
  state.deadline = mono_now() + state.step.timeout;
  state.child.emplace(std::move(*child));
}

void ProcessSteps::look_after(State& state) {
  if (!state.child) return;
  const auto code = state.child->poll();
  if (!code) {
    end(state, code.error().message);
  } else if (*code) {
    end(state, **code == 0 ? "" : fmt::format("exit code {}", **code));
  } else if (mono_now() >= state.deadline) {
    state.child->kill_session();
    // Killed with SIGKILL, it is gone in a moment; whether it is does not change the answer.
    (void)state.child->wait_until(mono_now() + std::chrono::seconds(1));
    end(state, fmt::format("it did not end within {} and was killed",
                           format_duration(state.step.timeout)));
  }
}

void ProcessSteps::end(State& state, const std::string& error) {
  state.done = true;
  if (!state.output_path.empty()) state.record.output = take_output(state.output_path);
  state.record.error = error;
  state.record.done_mono_ns = to_ns(mono_now());
  sink_(state.record);
  if (error.empty() || !state.step.undo) return;
  problems_.push_back(fmt::format("{} on {} failed ({}); do it by hand: {}", state.record.step,
                                  state.record.node, error, state.record.target));
}

}  // namespace zq
