#include "controller/canary/scheduler.h"

#include "experiments/hint.h"

namespace zq {

Result<SchedulerAnswer> ask_any(const AskScheduler& ask, std::size_t places,
                                const zonequake::HttpProbe& request) {
  Result<SchedulerAnswer> last = fail(ErrorCode::kUnavailable, "the system runs on no node");
  for (std::size_t place = 0; place < places; ++place) {
    Result<SchedulerAnswer> answer = ask(place, request);
    if (!answer && answer.error().code == ErrorCode::kCancelled) return answer;
    if (answer && answer->status < 500) return answer;
    // An answer tells more than silence.
    if (answer || !last) last = std::move(answer);
  }
  return last;
}

zonequake::HttpProbe scheduler_request(const std::string& method, const std::string& path,
                                       const std::string& body) {
  zonequake::HttpProbe request;
  request.set_method(method);
  request.set_url(path);
  request.set_body(body);
  (*request.mutable_headers())["Accept"] = "application/json";
  return request;
}

tl::unexpected<Error> unexpected_answer(const std::string& what, const SchedulerAnswer& answer) {
  constexpr std::size_t kShown = 300;
  return fail(ErrorCode::kUnavailable, "{}: answered with status {}: {}", what, answer.status,
              answer.body.substr(0, kShown));
}

tl::unexpected<Error> not_ours(const AppSpec& app, const std::string& name) {
  return fail(ErrorCode::kExists,
              "{}: '{}' is there already and is none of ours (it has no label {}={}): it is left "
              "alone; give the [[app]] another name",
              app.position.to_string(), name, kCanaryLabel, kCanaryLabelValue);
}

Result<std::unique_ptr<Scheduler>> make_scheduler(const Cluster& cluster, const SystemSpec& system,
                                                  std::size_t places, AskScheduler ask) {
  if (system.kind == "marathon")
    return make_marathon_scheduler(cluster, system, places, std::move(ask));
  if (system.kind == "swarm") return make_swarm_scheduler(places, std::move(ask));
  return fail(
      ErrorCode::kInput,
      "{}: canaries can be deployed through systems of kind marathon and swarm, not through "
      "'{}' of kind {}",
      system.position.to_string(), system.name, system.kind);
}

}  // namespace zq
