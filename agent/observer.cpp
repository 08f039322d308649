#include "agent/observer.h"

#include <set>

namespace zq {
namespace {

// Half a second, so that probes of any interval up to half a second are confirmed once a second.
constexpr std::int64_t kConfirmEachNs = 500'000'000;
constexpr std::size_t kBatchBytes = 1U << 20;

std::size_t size_of(const zonequake::Observation& observation) {
  return 128 + observation.probe().size() + observation.body().size() + observation.error().size();
}

}  // namespace

bool says_the_same(const zonequake::Observation& a, const zonequake::Observation& b) {
  if (a.outcome() != b.outcome()) return false;
  switch (a.outcome()) {
    case zonequake::Observation::ANSWER:
      return a.status() == b.status() && a.body() == b.body();
    case zonequake::Observation::FAILED:
      return a.error() == b.error();
    default:
      return true;
  }
}

Observer::Observer(std::size_t max_bytes) : max_bytes_(max_bytes) {}

void Observer::add(zonequake::Observation observation) {
  const std::lock_guard lock(mutex_);
  const auto [entry, is_new] = probes_.try_emplace(observation.probe());
  Probe& probe = entry->second;
  if (!is_new && says_the_same(probe.sent, observation)) {
    if (observation.at_mono_ns() - probe.reported_at_ns < kConfirmEachNs) return;
    if (probe.confirmed_at_ns == 0) ++confirmations_;
    probe.confirmed_at_ns = observation.at_mono_ns();
    probe.reported_at_ns = observation.at_mono_ns();
    wake_.notify_one();
    return;
  }
  const std::size_t size = size_of(observation);
  if (waiting_bytes_ + size > max_bytes_) {
    // The probe's last sent result stays what it was: the next one that differs is tried again.
    ++dropped_;
    if (is_new) probes_.erase(entry);
    wake_.notify_one();
    return;
  }
  if (probe.confirmed_at_ns != 0) --confirmations_;
  probe.confirmed_at_ns = 0;
  probe.reported_at_ns = observation.at_mono_ns();
  probe.sent = observation;
  waiting_bytes_ += size;
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
