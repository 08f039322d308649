// What the kernel has for queues, tried for real in a namespace that goes with its thread.
#include <sched.h>

#include <cerrno>
#include <thread>

#include "agent/base/capability.h"
#include "agent/dataplane/capability_report.h"
#include "agent/dataplane/htb.h"
#include "agent/dataplane/lanes.h"
#include "agent/dataplane/netem.h"
#include "agent/dataplane/shaper.h"

namespace zq {
namespace {

// "" when it worked.
std::string reason(const Status& status) { return status ? "" : status.error().message; }

Status try_ifb(NetlinkSocket& socket) {
  ZQ_TRY(const unsigned index, add_ifb(socket, kLaneDevice[0]));
  return bring_up(socket, index);
}

Status probe(QueueSupport& support) {
  if (::unshare(CLONE_NEWNET) != 0) return fail_errno(errno, "making a namespace to try it in");
  ZQ_TRY(auto socket, NetlinkSocket::open());
  ZQ_TRY(const auto links, list_links(socket));
  if (links.empty()) return fail(ErrorCode::kKernel, "a new namespace has no loopback device");
  support.ifb = reason(try_ifb(socket));
  // The queues are tried on loopback, which is in every namespace.
  const unsigned device = links.front().index;
  std::uint16_t id = 0;
  const auto try_queue = [&](const Impairment& impairment, bool split) {
    return reason(add_queue(socket, device, ++id, impairment, shaper_numbers(impairment, split),
                            std::uint32_t{1} << 16));
  };
  Impairment rate;
  rate.rate_bps = 1'000'000;
  Impairment delay;
  delay.delay = std::chrono::milliseconds(2);
  Impairment extras = delay;
  extras.jitter = std::chrono::milliseconds(1);
  extras.distribution = Distribution::kNormal;
  extras.delay_correlation = extras.corrupt = extras.reorder = 0.1;
  support.htb = reason(add_htb_root(socket, device));
  if (support.htb.empty()) support.htb = try_queue(rate, false);
  if (!support.htb.empty()) {
    support.tbf = support.netem = support.netem_extras = "not tried without HTB";
    return {};
  }
  support.tbf = try_queue(rate, true);
  support.netem = try_queue(delay, false);
  support.netem_extras = support.netem.empty() ? try_queue(extras, false) : support.netem;
  return {};
}

constexpr const char* kRoot = "needs root or CAP_NET_ADMIN and CAP_SYS_ADMIN";

Capability report_ifb(const QueueSupport& support) {
  if (support.ifb.empty()) return {capability::kIfb, true, "ifb devices: queues of our own"};
  return {capability::kIfb, false,
          fmt::format("{}: no rate, delay, corruption or reordering on this node ({}, and a kernel "
                      "with CONFIG_IFB)",
                      support.ifb, kRoot)};
}

Capability report_htb(const QueueSupport& support) {
  if (!support.htb.empty()) {
    return {capability::kHtb, false,
            fmt::format("{}: no rate, delay, corruption or reordering on this node ({}, and a "
                        "kernel with CONFIG_NET_SCH_HTB)",
                        support.htb, kRoot)};
  }
  if (!support.tbf.empty()) {
    return {capability::kHtb, true,
            fmt::format("rates; offloaded packets of up to 64 KiB pass them whole ({}; cutting "
                        "them needs CONFIG_NET_SCH_TBF)",
                        support.tbf)};
  }
  return {capability::kHtb, true, "rates from 8 kbit/s to 100 Gbit/s"};
}

Capability report_netem(const QueueSupport& support) {
  if (support.netem.empty() && support.netem_extras.empty()) {
    return {capability::kNetem, true,
            "delay and jitter on either side, any distribution, corruption, reordering"};
  }
  if (support.netem.empty()) {
    return {capability::kNetem, false,
            fmt::format("sch_netem takes a delay, but neither jitter from a table, corruption nor "
                        "reordering ({})",
                        support.netem_extras)};
  }
  return {
      capability::kNetem, false,
      fmt::format("sch_netem is not in this kernel ({}): delay at the sender only, by the delay "
                  "line; no corruption, no reordering, no delay on the receiving side",
                  support.netem)};
}

}  // namespace

QueueSupport probe_queue_support() {
  QueueSupport support;
  Status done;
  std::thread([&] { done = probe(support); }).join();
  if (!done) {
    support.ifb = support.htb = support.tbf = support.netem = support.netem_extras =
        done.error().message;
  }
  return support;
}

std::vector<Capability> queue_capabilities() {
  const QueueSupport support = probe_queue_support();
  return {report_ifb(support), report_htb(support), report_netem(support)};
}

}  // namespace zq
