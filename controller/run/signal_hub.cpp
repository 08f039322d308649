#include "controller/run/signal_hub.h"

#include <algorithm>

namespace zq {
namespace {

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

SystemSpec with_dir(SystemSpec spec, const std::string& dir) {
  replace_all(spec.endpoint, "{dir}", dir);
  return spec;
}

}  // namespace

void append_sample(Series& series, MonoTime at, std::optional<double> value) {
  if (!series.segments.empty()) {
    Segment& newest = series.segments.back();
    // Answers of different probes may arrive a little out of order; time never runs backwards here.
    if (at < newest.last) at = newest.last;
    if (newest.value == value && at - newest.last <= series.stale_after) {
      newest.last = at;
      return;
    }
  }
  series.segments.push_back({.from = at, .last = at, .value = value});
}

Result<std::unique_ptr<SignalHub>> SignalHub::make(const Cluster& cluster,
                                                   const Experiment& experiment,
                                                   const std::string& run, const std::string& dir,
                                                   std::uint16_t probe_port) {
  std::unique_ptr<SignalHub> hub(new SignalHub(cluster));
  for (const SystemSpec& spec : cluster.systems) {
    ZQ_TRY(auto adapter, make_adapter(cluster, with_dir(spec, dir)));
    ZQ_TRY(Access access, resolve_access(spec));
    Adapter* raw = adapter.get();
    hub->register_probes(raw->probes(), [raw](const Answer& a) { return raw->interpret(a); });
    hub->systems_.push_back(
        {.name = spec.name, .adapter = std::move(adapter), .access = std::move(access)});
  }
  for (const AppSpec& app : cluster.apps) {
    auto adapter = make_canary_adapter(cluster, app);
    Adapter* raw = adapter.get();
    hub->register_probes(raw->probes(), [raw](const Answer& a) { return raw->interpret(a); });
    hub->apps_.push_back(std::move(adapter));
  }
  if (has_bulk(experiment)) {
    ZQ_TRY(std::vector<BulkFlow> flows, bulk_flows(cluster, experiment));
    hub->bulk_ = std::make_unique<BulkTraffic>(cluster, std::move(flows), run, probe_port);
    BulkTraffic* raw = hub->bulk_.get();
    hub->register_probes(raw->probes(), [raw](const Answer& a) { return raw->interpret(a); });
  }
  for (const Workload& workload : experiment.workloads) {
    if (workload.kind == WorkloadKind::kBulk) continue;
    ZQ_TRY(const SystemSpec* spec, find_system_by(cluster, workload.system));
    ZQ_TRY(auto writer, make_write_workload(cluster, with_dir(*spec, dir), run, workload.every));
    WriteWorkload* raw = writer.get();
    hub->register_probes(raw->probes(false), [raw](const Answer& a) { return raw->interpret(a); });
    hub->workloads_.push_back(std::move(writer));
  }
  return hub;
}

void SignalHub::register_probes(const std::vector<NodeProbe>& probes,
                                const Interpreter& interpret) {
  for (const NodeProbe& probe : probes) {
    if (!cluster_.nodes[probe.node].has_agent()) continue;  // nobody there could ask
    probes_[{probe.node, probe.probe.id()}] = {
        .interpret = interpret, .stale_after = probe.stale_after(), .newest = {}};
  }
}

std::vector<zonequake::ProbeSet> SignalHub::probe_sets(const zonequake::RunRef& run,
                                                       bool read_back) const {
  std::vector<zonequake::ProbeSet> sets(cluster_.nodes.size());
  for (zonequake::ProbeSet& set : sets) *set.mutable_run() = run;
  const auto put = [&](const std::vector<NodeProbe>& probes, const Access& access) {
    for (const NodeProbe& probe : probes) {
      if (!cluster_.nodes[probe.node].has_agent()) continue;
      zonequake::Probe& added = *sets[probe.node].add_probes();
      added = probe.probe;
      access.attach(added);
    }
  };
  for (const System& system : systems_) put(system.adapter->probes(), system.access);
  for (const auto& app : apps_) put(app->probes(), Access());
  for (const auto& workload : workloads_) put(workload->probes(read_back), Access());
  if (bulk_) put(bulk_->probes(), Access());
  return sets;
}

void SignalHub::seed(MonoTime now) {
  const std::lock_guard lock(mutex_);
  for (auto& [key, state] : probes_) {
    Answer answer{.node = key.first, .probe = key.second, .at = now, .observation = {}};
    answer.observation.set_probe(key.second);
    answer.observation.set_outcome(zonequake::Observation::FAILED);
    answer.observation.set_error("not asked yet");
    answer_locked(state, answer);
  }
}

void SignalHub::on_batch(NodeId node, const zonequake::ObservationBatch& batch, Nanos offset) {
  const std::lock_guard lock(mutex_);
  dropped_ += batch.dropped();
  for (const zonequake::Observation& observation : batch.observations()) {
    const auto found = probes_.find({node, observation.probe()});
    if (found == probes_.end()) continue;
    answer_locked(found->second, {.node = node,
                                  .probe = observation.probe(),
                                  .at = mono_from_ns(observation.at_mono_ns()) - offset,
                                  .observation = observation});
  }
  for (const zonequake::Confirmation& confirmation : batch.confirmations()) {
    const auto found = probes_.find({node, confirmation.probe()});
    if (found == probes_.end()) continue;
    ProbeState& state = found->second;
    for (Sample& sample : state.newest)
      sample.at = mono_from_ns(confirmation.at_mono_ns()) - offset;
    add_locked(state.newest, state.stale_after);
  }
}

void SignalHub::answer_locked(ProbeState& state, const Answer& answer) {
  state.newest = state.interpret(answer);
  add_locked(state.newest, state.stale_after);
}

void SignalHub::add(const std::vector<Sample>& samples, Nanos stale_after) {
  const std::lock_guard lock(mutex_);
  add_locked(samples, stale_after);
}

void SignalHub::add_locked(const std::vector<Sample>& samples, Nanos stale_after) {
  for (const Sample& sample : samples) {
    Series& series = series_[{sample.signal, sample.labels}];
    if (series.segments.empty()) {
      series.signal = sample.signal;
      series.labels = sample.labels;
      series.stale_after = stale_after;
    }
    append_sample(series, sample.at, sample.value);
    pending_.push_back({.sample = sample, .stale_after = stale_after});
  }
}

Status SignalHub::flush(Store& store, RunId run) {
  std::vector<Pending> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(pending_);
  }
  std::vector<Store::SeriesSample> samples;
  samples.reserve(taken.size());
  for (const Pending& pending : taken) {
    samples.push_back({.sample = &pending.sample, .stale_after = pending.stale_after});
  }
  return store.add_samples(run, samples);
}

bool SignalHub::ready() const { return not_ready().empty(); }

std::vector<std::string> SignalHub::not_ready() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const System& system : systems_) {
    if (!system.adapter->ready()) names.push_back(system.name);
  }
  return names;
}

std::map<std::string, double> SignalHub::variables() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, double> result;
  for (const System& system : systems_) {
    for (const auto& [name, timer] : system.adapter->timers()) {
      // Two systems may know a timer of the same name; the larger bound covers both.
      const auto [entry, added] = result.emplace(name, timer.seconds);
      if (!added) entry->second = std::max(entry->second, timer.seconds);
      if (systems_.size() > 1) result.emplace(system.name + "." + name, timer.seconds);
    }
  }
  double replicas = 0;
  for (const AppSpec& app : cluster_.apps) {
    replicas += app.replicas;
    if (cluster_.apps.size() > 1) result.emplace(app.name + ".replicas", app.replicas);
  }
  if (!cluster_.apps.empty()) result["replicas"] = replicas;
  return result;
}

std::map<std::string, std::string> SignalHub::derivations() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> result;
  std::map<std::string, double> largest;  // as variables() chooses
  for (const System& system : systems_) {
    for (const auto& [name, timer] : system.adapter->timers()) {
      const auto [entry, added] = largest.emplace(name, timer.seconds);
      if (!added && timer.seconds <= entry->second) continue;
      entry->second = timer.seconds;
      result[name] = timer.derivation;
    }
  }
  return result;
}

std::map<std::string, std::string> SignalHub::versions() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> result;
  for (const System& system : systems_) {
    if (std::string version = system.adapter->version(); !version.empty()) {
      result[system.name] = std::move(version);
    }
  }
  return result;
}

void SignalHub::add_facts(Facts& facts) const {
  const std::lock_guard lock(mutex_);
  for (const System& system : systems_) system.adapter->add_facts(facts);
}

Result<NodeId> SignalHub::leader(const std::string& system) const {
  const std::lock_guard lock(mutex_);
  ZQ_TRY(const SystemSpec* spec, find_system_by(cluster_, system));
  for (const System& candidate : systems_) {
    if (candidate.name != spec->name) continue;
    if (const auto leader = candidate.adapter->leader()) return *leader;
    return fail(ErrorCode::kUnavailable, "{} has no leader that a majority agrees on", system);
  }
  return fail(ErrorCode::kInput, "the cluster has no system '{}'", system);
}

bool SignalHub::workloads_complete() const {
  const std::lock_guard lock(mutex_);
  return std::all_of(workloads_.begin(), workloads_.end(),
                     [](const auto& workload) { return workload->complete(); });
}

std::uint64_t SignalHub::dropped_observations() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

std::vector<Series> SignalHub::series() const {
  const std::lock_guard lock(mutex_);
  std::vector<Series> result;
  result.reserve(series_.size());
  for (const auto& [key, series] : series_) result.push_back(series);
  return result;
}

}  // namespace zq
