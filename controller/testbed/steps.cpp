#include "controller/testbed/steps.h"

#include <algorithm>
#include <future>
#include <map>
#include <thread>

#include "controller/testbed/files.h"

namespace zq::testbed {
namespace {

constexpr auto kPauseBetweenAttempts = std::chrono::milliseconds(250);
constexpr auto kSlice = std::chrono::milliseconds(100);

class Runner {
 public:
  Runner(const StepRecipe& step, std::size_t number, const TemplateContext& context,
         const std::stop_token& stop)
      : step_(step), number_(number), context_(context), stop_(stop) {}

  // On every target; returns what the last one printed.
  Result<std::string> run(const std::vector<StepTarget>& targets) const {
    std::string output;
    if (!step_.parallel) {
      for (const StepTarget& target : targets) {
        ZQ_TRY(output, run_on(target));
      }
      return output;
    }
    std::vector<std::future<Result<std::string>>> running;
    running.reserve(targets.size());
    for (const StepTarget& target : targets) {
      running.push_back(std::async(std::launch::async, [&] { return run_on(target); }));
    }
    std::vector<Result<std::string>> results;
    results.reserve(running.size());
    for (auto& one : running) results.push_back(one.get());
    for (Result<std::string>& one : results) {
      if (!one) return one;
      output = std::move(*one);
    }
    return output;
  }

 private:
  // Tries until it succeeds or the step's `retry` is over.
  Result<std::string> run_on(const StepTarget& target) const {
    const MonoTime last_start = mono_now() + step_.retry;
    for (;;) {
      auto result = attempt(target);
      const bool again = !result && result.error().code == ErrorCode::kUnavailable;
      if (!again || mono_now() >= last_start) {
        if (result) return result;
        return tl::unexpected(std::move(result).error().with_context(
            fmt::format("step '{}' on {}", step_.name, target.node->name)));
      }
      std::this_thread::sleep_for(kPauseBetweenAttempts);
    }
  }

  Result<std::string> attempt(const StepTarget& target) const {
    ZQ_TRY(SpawnRequest request, plan_step(step_, target, context_));
    const std::string stem =
        fmt::format("{}/{:02}-{}{}", request.directory, number_, target.node->name,
                    target.app == nullptr ? "" : "-" + target.app->name);
    request.output = stem + ".out";
    request.errors = stem + ".err";
    ZQ_CHECK(write_file(request.output, ""));
    ZQ_CHECK(write_file(request.errors, ""));
    ZQ_TRY(Child child, spawn(request));
    const MonoTime deadline = mono_now() + step_.timeout;
    for (;;) {
      ZQ_TRY(const auto code, child.wait_until(std::min<MonoTime>(deadline, mono_now() + kSlice)));
      if (code) return finished(*code, request);
      if (!stop_.stop_requested() && mono_now() < deadline) continue;
      child.kill_session();
      ZQ_CHECK(await_death(child.identity(), step_.timeout));
      if (stop_.stop_requested()) return fail(ErrorCode::kCancelled, "stopped");
      return fail(ErrorCode::kUnavailable, "it does not end within {}",
                  format_duration(step_.timeout));
    }
  }

  static Result<std::string> finished(int code, const SpawnRequest& request) {
    if (code == 0) return read_file(request.output);
    std::string said = tail_of(request.errors);
    if (said.empty()) said = tail_of(request.output);
    if (said.empty()) said = "(no output)";
    return fail(ErrorCode::kUnavailable, "exit code {}: {}", code, said);
  }

  const StepRecipe& step_;
  const std::size_t number_;
  const TemplateContext& context_;
  const std::stop_token& stop_;
};

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace

Status run_steps(const Recipe& recipe, const TemplateContext& context, const std::stop_token& stop,
                 const std::function<void(const std::string&)>& progress) {
  std::map<std::string, std::string> captured;
  TemplateContext with_captures = context;
  with_captures.vars = &captured;
  for (std::size_t i = 0; i < recipe.steps.size(); ++i) {
    const StepRecipe& step = recipe.steps[i];
    ZQ_TRY(const auto targets, step_targets(step, *context.cluster));
    if (targets.empty()) continue;
    if (stop.stop_requested()) return fail(ErrorCode::kCancelled, "stopped");
    const MonoTime begin = mono_now();
    ZQ_TRY(const std::string output, Runner(step, i + 1, with_captures, stop).run(targets));
    if (!step.capture.empty()) captured[step.capture] = trimmed(output);
    if (progress) {
      progress(fmt::format("{}: done on {} in {}", step.name,
                           targets.size() == 1 ? targets.front().node->name
                                               : fmt::format("{} nodes", targets.size()),
                           format_duration(mono_now() - begin)));
    }
  }
  return {};
}

}  // namespace zq::testbed
