#include "agent/process_wire.h"

#include <algorithm>

namespace zq {
namespace {

constexpr int kMaxActions = 256;

Result<ProcessVerb> read_verb(zonequake::ProcessVerb verb) {
  switch (verb) {
    case zonequake::KILL:
      return ProcessVerb::kKill;
    case zonequake::STOP:
      return ProcessVerb::kStop;
    case zonequake::PAUSE:
      return ProcessVerb::kPause;
    case zonequake::RESUME:
      return ProcessVerb::kResume;
    case zonequake::START:
      return ProcessVerb::kStart;
    case zonequake::RESTART:
      return ProcessVerb::kRestart;
    default:
      return fail(ErrorCode::kInput, "processes: verb {} is unknown", static_cast<int>(verb));
  }
}

zonequake::ProcessVerb to_wire(ProcessVerb verb) {
  switch (verb) {
    case ProcessVerb::kKill:
      return zonequake::KILL;
    case ProcessVerb::kStop:
      return zonequake::STOP;
    case ProcessVerb::kPause:
      return zonequake::PAUSE;
    case ProcessVerb::kResume:
      return zonequake::RESUME;
    case ProcessVerb::kStart:
      return zonequake::START;
    case ProcessVerb::kRestart:
      break;
  }
  return zonequake::RESTART;
}

}  // namespace

Result<std::vector<ProcessAction>> read_process_actions(
    const google::protobuf::RepeatedPtrField<zonequake::ProcessAction>& entries) {
  if (entries.size() > kMaxActions) {
    return fail(ErrorCode::kInput, "processes: {} actions, at most {} are possible", entries.size(),
                kMaxActions);
  }
  std::vector<ProcessAction> actions;
  for (const auto& entry : entries) {
    ZQ_TRY(const ProcessVerb verb, read_verb(entry.verb()));
    if (entry.unit().empty() == entry.cgroup().empty()) {
      return fail(ErrorCode::kInput, "processes: an action needs a unit or a cgroup, and not both");
    }
    if (entry.at_mono_ns() < 0) {
      return fail(ErrorCode::kInput, "processes: instant {} is before the node was started",
                  entry.at_mono_ns());
    }
    actions.push_back({verb, entry.unit(), entry.cgroup(), mono_from_ns(entry.at_mono_ns())});
  }
  return actions;
}

zonequake::ProcessReply to_wire(const std::vector<ProcessResult>& results) {
  zonequake::ProcessReply reply;
  for (const auto& result : results) {
    auto* const out = reply.add_results();
    auto* const action = out->mutable_action();
    action->set_verb(to_wire(result.action.verb));
    action->set_unit(result.action.unit);
    action->set_cgroup(result.action.cgroup);
    action->set_at_mono_ns(to_ns(result.action.at));
    out->set_began_mono_ns(to_ns(result.began));
    out->set_done_mono_ns(to_ns(result.done));
    out->set_error(result.error);
    out->set_processes(static_cast<std::uint32_t>(result.processes));
    if (result.action.at == MonoTime{}) {
      reply.set_done_mono_ns(std::max<std::int64_t>(reply.done_mono_ns(), to_ns(result.done)));
    }
  }
  return reply;
}

}  // namespace zq
