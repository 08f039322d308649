#include "agent/dataplane/netem.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace zq {
namespace {

constexpr std::uint32_t kAlways = std::numeric_limits<std::uint32_t>::max();

std::uint32_t fraction(double probability) {
  return static_cast<std::uint32_t>(std::lround(std::clamp(probability, 0.0, 1.0) * kAlways));
}

}  // namespace

NetlinkAnswer add_netem(NetlinkSocket& socket, unsigned index, const QueueQdisc& qdisc,
                        const Impairment& impairment, std::uint32_t limit_packets) {
  tc_netem_qopt options{};
  options.limit = limit_packets;
  // Without a gap netem ignores the share of packets to send at once.
  options.gap = impairment.reorder > 0 ? 1 : 0;
  return add_qdisc(socket, index, qdisc, [&](NetlinkMessage& message) {
    // No plain nest: the structure, then attributes. Delays are in the 64-bit attributes only.
    message.nest(TCA_OPTIONS, [&](NetlinkMessage& nest) {
      nest.header(options)
          .put(TCA_NETEM_LATENCY64, std::int64_t{impairment.delay.count()})
          .put(TCA_NETEM_JITTER64, std::int64_t{impairment.jitter.count()});
      if (impairment.delay_correlation > 0) {
        nest.put(TCA_NETEM_CORR, tc_netem_corr{fraction(impairment.delay_correlation), 0, 0});
      }
      if (impairment.reorder > 0) {
        nest.put(TCA_NETEM_REORDER, tc_netem_reorder{fraction(impairment.reorder), 0});
      }
      if (impairment.corrupt > 0) {
        nest.put(TCA_NETEM_CORRUPT, tc_netem_corrupt{fraction(impairment.corrupt), 0});
      }
      const std::vector<std::int16_t> table = impairment.distribution == Distribution::kCustom
                                                  ? impairment.table
                                                  : distribution_table(impairment.distribution);
      if (impairment.jitter > Nanos{0} && !table.empty()) {
        nest.put_bytes(TCA_NETEM_DELAY_DIST, table.data(), table.size() * sizeof table[0]);
      }
    });
  });
}

}  // namespace zq
