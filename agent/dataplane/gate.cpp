#include "agent/dataplane/gate.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <utility>

#include "agent/base/netns.h"
#include "agent/dataplane/clock.h"
#include "agent/dataplane/gate_object.h"
#include "agent/dataplane/gate_queues.h"
#include "agent/dataplane/hooks.h"
#include "agent/dataplane/journal.h"
#include "agent/dataplane/links.h"
#include "agent/dataplane/netlink.h"
#include "agent/dataplane/programme.h"
#include "agent/dataplane/rejector.h"
#include "agent/dataplane/removal.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {
namespace {

constexpr const char* kAheadAdvice =
    "remove it (a filter may stay if its priority number is above 1), then arm again";

// Whether the devices can take the gate, and which of them have a clsact already.
Result<std::vector<JournalDevice>> survey(NetlinkSocket& socket,
                                          const std::vector<Uplink>& uplinks) {
  ZQ_TRY(const auto ahead, list_ahead(socket, uplinks));
  if (!ahead.empty()) {
    return fail(ErrorCode::kRefused, "the gate would not see all packets, because of {}: {}",
                fmt::join(ahead, ", "), kAheadAdvice);
  }
  std::vector<JournalDevice> devices;
  for (const Uplink& uplink : uplinks) {
    ZQ_TRY(const std::string kind, ingress_qdisc(socket, uplink.index));
    if (!kind.empty() && kind != "clsact") {
      return fail(ErrorCode::kRefused,
                  "{} has an '{}' qdisc where the gate needs clsact: replace it by clsact, which "
                  "does the same and more, then arm again",
                  uplink.device, kind);
    }
    for (const FlowDirection direction : kHooks) {
      ZQ_TRY(const auto filters, list_filters(socket, uplink.index, hook_parent(direction)));
      if (std::ranges::any_of(filters, is_gate_filter)) {
        return fail(ErrorCode::kRefused,
                    "{} {} has a gate already: another zonequake agent serves this namespace, or "
                    "one was killed and its state directory is not this one (start an agent with "
                    "that directory once to clean up)",
                    uplink.device, hook_name(direction));
      }
    }
    devices.push_back({uplink, kind == "clsact"});
  }
  return devices;
}

bool any_segment(const GateProgramme& programme, Treatment treatment) {
  return std::ranges::any_of(programme.rules, [&](const GateRule& rule) {
    return std::ranges::any_of(rule.segments, [&](const GateRule::Segment& segment) {
      return segment.treatment == treatment;
    });
  });
}

}  // namespace

struct Gate::Impl {
  Impl(NetlinkSocket opened, GateObject loaded, GateQueues made, std::uint32_t groups_in,
       std::string directory)
      : socket(std::move(opened)),
        object(std::move(loaded)),
        queues(std::move(made)),
        programme(object.programme_maps()),
        groups(groups_in),
        state_dir(std::move(directory)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { (void)detach(); }

  Status attach();
  Status detach();
  Status load(const GateProgramme& wanted);
  Status start_rejector();
  void stop_rejector();
  Result<std::vector<std::string>> violations();
  Result<std::vector<std::string>> ahead();

  NetlinkSocket socket;
  GateObject object;
  GateQueues queues;
  Programme programme;
  std::uint32_t groups;
  std::unique_ptr<Rejector> rejector;  // from the first programme that rejects on
  std::string state_dir;
  UniqueFd netns;
  std::uint64_t netns_inode = 0;
  std::string boot_id;
  std::vector<Uplink> uplinks;
  std::vector<JournalDevice> devices;  // what the journal says; empty = nothing of ours is there
};

Status Gate::Impl::attach() {
  Journal journal{boot_id, netns_inode, devices};
  ZQ_CHECK(write_journal(state_dir, journal));
  for (JournalDevice& device : devices) {
    ZQ_TRY(const bool made, add_clsact(socket, device.uplink));
    if (!made && !device.had_clsact) {
      device.had_clsact = true;
      journal.devices = devices;
      ZQ_CHECK(write_journal(state_dir, journal));
    }
    for (const FlowDirection direction : kHooks) {
      ZQ_CHECK(add_gate_filter(socket, device.uplink, direction, object.program_fd(direction)));
    }
  }
  // Between the survey and now somebody else may have come.
  ZQ_TRY(const auto found, violations());
  if (!found.empty()) {
    return fail(ErrorCode::kRefused, "the gate cannot be trusted: {}: {}", fmt::join(found, ", "),
                kAheadAdvice);
  }
  return {};
}

Status Gate::Impl::detach() {
  if (devices.empty()) return {};
  // The lanes go while the gate still knows what comes out of them; nothing new is put in.
  // (Should the heal fail, then what is still put in is late for a moment more.)
  (void)programme.heal(mono_now());
  ZQ_CHECK(queues.remove());
  stop_rejector();
  ZQ_TRY(const auto removed, remove_gate(socket, devices));
  ZQ_CHECK(remove_journal(state_dir));
  devices.clear();
  return {};
}

Status Gate::Impl::load(const GateProgramme& wanted) {
  ZQ_CHECK(check_programme(wanted, groups));
  ZQ_CHECK(queues.prepare(socket, object, wanted));
  if (any_segment(wanted, Treatment::kReject)) ZQ_CHECK(start_rejector());
  return programme.load(wanted, [this](const GateRule& rule, std::uint32_t impairment_index) {
    return queues.class_of(rule, impairment_index);
  });
}

Status Gate::Impl::start_rejector() {
  if (rejector) return {};
  return in_netns(netns.get(), [&]() -> Status {
    ZQ_TRY(rejector, Rejector::start(object.rejects_fd()));
    return {};
  });
}

// A reject without an answer is a drop to its sender: whoever wonders finds the reason in the log.
void Gate::Impl::stop_rejector() {
  if (!rejector) return;
  const Rejector::Stats stats = rejector->stats();
  rejector.reset();
  const std::uint64_t unheard = object.rejects_unheard();
  spdlog::info("reject: {} packets answered, {} of a kind that nobody answers", stats.answered,
               stats.silent);
  if (stats.excess + stats.failed + unheard > 0) {
    spdlog::warn(
        "reject: {} packets not answered: {} above {} per second, {} refused by the kernel, {} "
        "faster than they could be read",
        stats.excess + stats.failed + unheard, stats.excess, kMaxAnswersPerSecond, stats.failed,
        unheard);
  }
}

// tcx programs are asked for in the namespace of the calling thread, which may not be the gate's.
Result<std::vector<std::string>> Gate::Impl::ahead() {
  ZQ_TRY(const std::uint64_t here, current_netns_inode());
  if (here == netns_inode) return list_ahead(socket, uplinks);
  Result<std::vector<std::string>> result;
  ZQ_CHECK(in_netns(netns.get(), [&] {
    result = list_ahead(socket, uplinks);
    return Status();
  }));
  return result;
}

Result<std::vector<std::string>> Gate::Impl::violations() {
  std::vector<std::string> found;
  ZQ_TRY(const auto links, list_links(socket));
  for (const Uplink& uplink : uplinks) {
    if (find_link(links, uplink.index) == nullptr) {
      found.push_back(fmt::format("device {} went away", uplink.device));
      continue;
    }
    for (const FlowDirection direction : kHooks) {
      ZQ_TRY(const auto filters, list_filters(socket, uplink.index, hook_parent(direction)));
      const auto ours = std::ranges::find_if(filters, is_gate_filter);
      const char* hook = hook_name(direction);
      if (ours == filters.end()) {
        found.push_back(fmt::format("{} {}: the gate's filter is gone", uplink.device, hook));
      } else if (as_bpf_filter(*ours)->program_id != object.program_id(direction)) {
        found.push_back(
            fmt::format("{} {}: the gate's filter runs another program", uplink.device, hook));
      }
    }
  }
  ZQ_TRY(const auto foreign, ahead());
  for (const std::string& name : foreign) found.push_back(name + " stands ahead of the gate");
  ZQ_TRY(const auto of_queues, queues.violations());
  found.insert(found.end(), of_queues.begin(), of_queues.end());
  return found;
}

Gate::Gate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gate::Gate(Gate&&) noexcept = default;
Gate& Gate::operator=(Gate&&) noexcept = default;
Gate::~Gate() = default;

Result<Gate> Gate::attach(const GateConfig& config, const std::string& state_dir) {
  if (config.uplinks.empty()) {
    return fail(ErrorCode::kInput, "no device to put the gate on: no route to any peer");
  }
  ZQ_CHECK(check_kernel_clock());
  ZQ_TRY(const auto leftover, read_journal(state_dir));
  if (leftover) {
    return fail(ErrorCode::kRefused,
                "state directory {} holds the journal of another gate: clean up what it left first",
                state_dir);
  }
  ZQ_TRY(auto socket, NetlinkSocket::open());
  ZQ_TRY(auto devices, survey(socket, config.uplinks));
  ZQ_TRY(auto object, GateObject::load(config));
  ZQ_TRY(auto queues, GateQueues::make(config.uplinks, object));
  auto impl = std::make_unique<Impl>(std::move(socket), std::move(object), std::move(queues),
                                     config.groups, state_dir);
  ZQ_TRY(impl->netns_inode, current_netns_inode());
  ZQ_TRY(impl->boot_id, current_boot_id());
  ZQ_TRY(impl->netns, open_netns("/proc/thread-self/ns/net"));
  impl->uplinks = config.uplinks;
  impl->devices = std::move(devices);
  if (auto attached = impl->attach(); !attached) {
    Error error = std::move(attached).error();
    if (auto detached = impl->detach(); !detached) {
      error.message += "; and then " + detached.error().message;
    }
    return tl::unexpected<Error>(std::move(error));
  }
  return Gate(std::move(impl));
}

Status Gate::load(const GateProgramme& programme) {
  const bool heals = std::ranges::all_of(
      programme.rules, [](const GateRule& rule) { return rule.segments.empty(); });
  return heals ? impl_->programme.heal(mono_now()) : impl_->load(programme);
}

Result<bool> Gate::renew_lease(Nanos length) {
  if (length <= Nanos::zero()) {
    return fail(ErrorCode::kInput, "a lease of {} ns is none", length.count());
  }
  ZQ_TRY(const zq_renewal renewal,
         impl_->object.run_lease(static_cast<std::uint64_t>(length.count())));
  return renewal == ZQ_RENEWED;
}

Status Gate::end_lease() {
  ZQ_TRY([[maybe_unused]] const zq_renewal renewal, impl_->object.run_lease(0));
  return {};
}

Result<Gate::Lease> Gate::lease() const {
  ZQ_TRY(const zq_lease kernel, impl_->object.lease());
  Lease lease;
  lease.until = mono_from_ns(static_cast<std::int64_t>(kernel.until_ns));
  lease.lapsed = kernel.lapsed != 0 || (kernel.until_ns != 0 && mono_now() >= lease.until);
  return lease;
}

Result<std::vector<GateCounter>> Gate::counters() const { return impl_->object.counters(); }
Result<std::vector<WindowEvidence>> Gate::evidence() const { return impl_->programme.evidence(); }
Result<std::vector<QueueState>> Gate::queues() const { return impl_->queues.state(); }
Nanos Gate::longest_drain() const { return impl_->queues.longest_drain(); }
Result<std::vector<std::string>> Gate::violations() const { return impl_->violations(); }
Status Gate::detach() { return impl_->detach(); }

}  // namespace zq
