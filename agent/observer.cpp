#include "agent/observer.h"

#include <algorithm>
#include <set>

namespace zq {
namespace {

// Half a second, so that probes of any interval up to half a second are confirmed once a second.
constexpr std::int64_t kConfirmEachNs = 500'000'000;
constexpr std::size_t kBatchBytes = 1U << 20;

std::size_t size_of(const zonequake::Observation& observation) {
  return 128 + observation.probe().size() + observation.body().size() + observation.error().size();
}

template <class Map>
bool has_same_headers(const Map& a, const Map& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& header) {
           const auto other = b.find(header.first);
           return other != b.end() && other->second == header.second;
         });
}

}  // namespace

bool says_the_same(const zonequake::Observation& a, const zonequake::Observation& b) {
  if (a.outcome() != b.outcome()) return false;
  switch (a.outcome()) {
    case zonequake::Observation::ANSWER:
      return a.status() == b.status() && a.body() == b.body() &&
             has_same_headers(a.headers(), b.headers());
    case zonequake::Observation::FAILED:
      return a.error() == b.error();
    default:
      return true;
  }
}

Observer::Observer(std::size_t max_bytes) : max_bytes_(max_bytes) {}

bool Observer::add(zonequake::Observation observation, ProbeNews news) {
  const std::lock_guard lock(mutex_);
  if (news == ProbeNews::kAlive) {
    // Without an entry the stream's probe is gone from the set.
    if (const auto found = probes_.find(observation.probe()); found != probes_.end())
      confirm(found->second, observation.at_mono_ns());
    return true;
  }
  const bool has_room = waiting_bytes_ + size_of(observation) <= max_bytes_;
  if (news == ProbeNews::kEvent) {
    if (!has_room) return false;
    Probe& probe = probes_[observation.probe()];
    hand_on(probe, std::move(observation));
    return true;
  }
  const auto [entry, is_new] = probes_.try_emplace(observation.probe());
  Probe& probe = entry->second;
  if (!is_new && says_the_same(probe.sent, observation)) {
    confirm(probe, observation.at_mono_ns());
    return true;
  }
  if (!has_room) {
    // The probe's last sent result stays what it was: the next one that differs is tried again.
    ++dropped_;
    if (is_new) probes_.erase(entry);
    wake_.notify_one();
    return false;
  }
  probe.sent = observation;
  hand_on(probe, std::move(observation));
  return true;
}

void Observer::confirm(Probe& probe, std::int64_t at_ns) {
  if (at_ns - probe.reported_at_ns < kConfirmEachNs) return;
  if (probe.confirmed_at_ns == 0) ++confirmations_;
  probe.confirmed_at_ns = at_ns;
  probe.reported_at_ns = at_ns;
  wake_.notify_one();
}

void Observer::hand_on(Probe& probe, zonequake::Observation observation) {
  if (probe.confirmed_at_ns != 0) --confirmations_;
  probe.confirmed_at_ns = 0;
  probe.reported_at_ns = observation.at_mono_ns();
  waiting_bytes_ += size_of(observation);
  waiting_.push_back(std::move(observation));
  wake_.notify_one();
}

void Observer::keep_only(const zonequake::ProbeSet& set) {
  std::set<std::string> ids;
  for (const auto& probe : set.probes()) ids.insert(probe.id());
  const std::lock_guard lock(mutex_);
  std::erase_if(probes_, [&](const auto& entry) {
    if (ids.contains(entry.first)) return false;
    if (entry.second.confirmed_at_ns != 0) --confirmations_;
    return true;
  });
}

zonequake::ObservationBatch Observer::take(const std::stop_token& stop) {
  zonequake::ObservationBatch batch;
  std::unique_lock lock(mutex_);
  if (!wake_.wait(lock, stop,
                  [this] { return !waiting_.empty() || confirmations_ > 0 || dropped_ > 0; })) {
    return batch;
  }
  std::size_t bytes = 0;
  while (!waiting_.empty()) {
    const std::size_t size = size_of(waiting_.front());
    if (bytes > 0 && bytes + size > kBatchBytes) break;
    bytes += size;
    waiting_bytes_ -= size;
    *batch.add_observations() = std::move(waiting_.front());
    waiting_.pop_front();
  }
  // A confirmation speaks of the last result sent, so it waits until all of them are.
  if (waiting_.empty() && confirmations_ > 0) {
    for (auto& [id, probe] : probes_) {
      if (probe.confirmed_at_ns == 0) continue;
      auto* const confirmation = batch.add_confirmations();
      confirmation->set_probe(id);
      confirmation->set_at_mono_ns(probe.confirmed_at_ns);
      probe.confirmed_at_ns = 0;
    }
    confirmations_ = 0;
  }
  batch.set_dropped(std::exchange(dropped_, 0));
  return batch;
}

}  // namespace zq
