#include "agent/process_control.h"

#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>

namespace zq {
namespace {

// What takes long is done when no instant is nearer than this.
constexpr Nanos kQuiet = std::chrono::milliseconds(20);
constexpr Nanos kTendEach = std::chrono::milliseconds(200);
constexpr const char* kEndedFirst = "not done: the run ended first";

}  // namespace

ProcessControl::ProcessControl(std::string state_dir, std::string program)
    : actor_(std::move(state_dir), std::move(program)) {}

ProcessControl::~ProcessControl() {
  (void)undo();  // what fails is in the journal and the log
  thread_.request_stop();
  changed_.notify_all();
}

Status ProcessControl::schedule(const std::vector<ProcessAction>& actions) {
  return add(actions, true);
}

Status ProcessControl::act(const std::vector<ProcessAction>& actions, Nanos patience) {
  ZQ_CHECK(add(actions, false));
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] {
    return std::none_of(items_.begin(), items_.end(), [](const Item& item) {
      return item.result.action.at == MonoTime{} && item.result.done == MonoTime{};
    });
  });
  return {};
}

Status ProcessControl::add(const std::vector<ProcessAction>& actions, bool replace) {
  const std::lock_guard acting(acting_);
  Items fresh;
  std::vector<PreparedAction> to_insure;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return fail(ErrorCode::kRefused, "the run has ended: processes are left alone");
    if (actions.empty() && items_.empty()) return {};
    for (const Item& item : items_) {
      if (!replace && item.waits()) to_insure.push_back(item.prepared);
    }
  }
  for (const auto& action : actions) {
    const bool begun = replace && [&] {
      const std::lock_guard lock(mutex_);
      return std::any_of(items_.begin(), items_.end(), [&](const Item& item) {
        return !item.waits() && item.result.action == action;
      });
    }();
    if (begun) continue;
    ZQ_TRY(auto prepared, actor_.prepare(action));
    Item& item = fresh.emplace_back();
    item.prepared = std::move(prepared);
    item.result.action = action;
    to_insure.push_back(item.prepared);
  }
  ZQ_CHECK(actor_.insure(to_insure));
  const std::lock_guard lock(mutex_);
  if (replace) std::erase_if(items_, [](const Item& item) { return item.waits(); });
  items_.splice(items_.end(), fresh);
  if (!thread_.joinable()) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  changed_.notify_all();
  return {};
}

std::vector<ProcessResult> ProcessControl::results() const {
  const std::lock_guard lock(mutex_);
  std::vector<ProcessResult> results;
  for (const Item& item : items_) results.push_back(item.result);
  return results;
}

Status ProcessControl::undo() {
  const std::lock_guard acting(acting_);
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return {};
    ended_ = true;
    for (Item& item : items_) {
      if (item.waits()) finish(item, kEndedFirst);
    }
  }
  const auto undone = actor_.settle_all();
  const std::lock_guard lock(mutex_);
  Status status;
  for (const auto& entry : undone) {
    Item& item = items_.emplace_back();
    item.result.action = entry.action;
    item.result.began = item.result.done = entry.at;
    item.result.error = entry.error;
    if (!entry.error.empty()) status = fail(ErrorCode::kUnavailable, "{}", entry.error);
  }
  changed_.notify_all();
  return status;
}

// ---- the thread

ProcessControl::Item* ProcessControl::first_waiting() {
  Item* first = nullptr;
  for (Item& item : items_) {
    if (item.waits() && (first == nullptr || item.result.action.at < first->result.action.at)) {
      first = &item;
    }
  }
  return first;
}

ProcessControl::Item* ProcessControl::first_to_ask() {
  Item* first = nullptr;
  for (Item& item : items_) {
    if (item.running && (first == nullptr || item.ask_at < first->ask_at)) first = &item;
  }
  return first;
}

void ProcessControl::run(const std::stop_token& stop) {
  sched_param priority{};
  priority.sched_priority = 1;  // helps to meet instants on a busy machine
  (void)::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority);
  (void)::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  MonoTime tend_at = mono_now() + kTendEach;
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const MonoTime now = mono_now();
    Item* const next = first_waiting();
    if (next != nullptr && next->result.action.at <= now) {
      begin(*next, lock);
      continue;
    }
    const MonoTime due = next != nullptr ? next->result.action.at : MonoTime::max();
    Item* const asked = first_to_ask();
    const bool quiet = due > now + kQuiet;
    if (asked != nullptr && asked->ask_at <= now && (quiet || asked->prepared.cgroup)) {
      ask(*asked, lock);
      continue;
    }
    if (quiet && tend_at <= now) {
      tend_at = now + kTendEach;
      lock.unlock();
      {
        const std::lock_guard acting(acting_);
        actor_.tend();
      }
      lock.lock();
      continue;
    }
    MonoTime wake = std::min(due, quiet ? tend_at : MonoTime::max());
    if (asked != nullptr && (quiet || asked->prepared.cgroup)) wake = std::min(wake, asked->ask_at);
    changed_.wait_until(lock, stop, wake, [&] {
      const Item* const first = first_waiting();
      return first != nullptr && first->result.action.at < due;
    });
  }
}

// Nobody but this thread changes an item that runs, and nobody removes it.
void ProcessControl::begin(Item& item, std::unique_lock<std::mutex>& lock) {
  item.running = true;
  lock.unlock();
  std::unique_lock acting(acting_);
  lock.lock();
  item.result.began = mono_now();
  if (ended_) {  // while this thread waited for its turn
    finish(item, kEndedFirst);
    return;
  }
  lock.unlock();
  BegunAction begun = actor_.begin(item.prepared);
  acting.unlock();
  lock.lock();
  item.result.processes = begun.processes;
  item.ask_at = mono_now();
  item.give_up = item.ask_at + begun.patience;
  item.begun = std::move(begun);
  if (!item.begun.status) {
    finish(item, item.begun.status.error().message);
  } else if (!item.begun.progress) {
    finish(item, "");
  }
}

void ProcessControl::ask(Item& item, std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  Result<bool> done;
  {
    const std::lock_guard acting(acting_);
    done = item.begun.progress();
    if (done && *done) actor_.finished(item.prepared);
  }
  lock.lock();
  const MonoTime now = mono_now();
  if (!done) {
    finish(item, done.error().message);
  } else if (*done) {
    finish(item, "");
  } else if (now > item.give_up) {
    finish(item, fmt::format("{}: not done within {}", to_string(item.result.action),
                             format_duration(item.begun.patience)));
  } else {
    item.ask_at = now + item.begun.ask_each;
  }
}

void ProcessControl::finish(Item& item, std::string error) {
  item.running = false;
  item.result.done = mono_now();
  item.result.error = std::move(error);
  changed_.notify_all();
}

}  // namespace zq
