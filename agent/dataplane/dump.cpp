#include "agent/dataplane/dump.h"

#include <linux/pkt_sched.h>

#include <algorithm>
#include <functional>
#include <set>

#include "agent/dataplane/canonical.h"
#include "agent/dataplane/gate.h"
#include "agent/dataplane/hooks.h"
#include "agent/dataplane/lanes.h"
#include "agent/dataplane/links.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {
namespace {

// Kinds whose classes are flows: they come and go with traffic and nobody configures them.
bool has_flow_classes(std::string_view kind) {
  static constexpr std::string_view kKinds[] = {"fq_codel", "sfq", "sfb", "fq_pie", "cake"};
  return std::ranges::find(kKinds, kind) != std::end(kKinds);
}

// Every parent that may have filters: each qdisc, and the two hooks of clsact.
std::set<std::uint32_t> filter_parents(const std::vector<TcObject>& qdiscs, unsigned index) {
  std::set<std::uint32_t> parents;
  for (const TcObject& qdisc : qdiscs) {
    if (qdisc.index != index) continue;
    if (qdisc.parent == TC_H_CLSACT) {
      for (const FlowDirection direction : kHooks) parents.insert(hook_parent(direction));
    } else if (qdisc.handle != 0) {
      parents.insert(qdisc.handle);
    }
  }
  return parents;
}

Status dump_device(NetlinkSocket& socket, const Link& link, const std::vector<TcObject>& qdiscs,
                   std::vector<std::string>& lines) {
  lines.push_back(canonical_link(link));
  ZQ_TRY(const auto queues, queue_lines(socket, link.index, link.name, qdiscs));
  lines.insert(lines.end(), queues.begin(), queues.end());
  for (const FlowDirection direction : kHooks) {
    ZQ_TRY(const auto programs, tcx_programs(link.index, direction));
    for (const std::string& program : programs) {
      lines.push_back(fmt::format("hook {} {} {}", link.name, hook_name(direction), program));
    }
  }
  return {};
}

Result<std::string> dump(const std::function<bool(const Link&)>& wanted) {
  ZQ_TRY(auto socket, NetlinkSocket::open());
  ZQ_TRY(const auto links, list_links(socket));
  ZQ_TRY(const auto qdiscs, list_qdiscs(socket));
  std::vector<std::string> lines;
  for (const Link& link : links) {
    if (wanted(link)) ZQ_CHECK(dump_device(socket, link, qdiscs, lines));
  }
  std::ranges::sort(lines);
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace

Result<std::vector<std::string>> queue_lines(NetlinkSocket& socket, unsigned index,
                                             const std::string& device,
                                             const std::vector<TcObject>& qdiscs) {
  std::vector<std::string> lines;
  for (const TcObject& qdisc : qdiscs) {
    if (qdisc.index == index) lines.push_back(canonical_qdisc(qdisc, device));
  }
  ZQ_TRY(const auto classes, list_classes(socket, index));
  for (const TcObject& tc_class : classes) {
    if (!has_flow_classes(tc_class.kind)) lines.push_back(canonical_class(tc_class, device));
  }
  for (const std::uint32_t parent : filter_parents(qdiscs, index)) {
    ZQ_TRY(auto filters, list_filters(socket, index, parent));
    for (TcObject& filter : filters) {
      filter.parent = parent;  // the kernel leaves it out for blocks that devices share
      lines.push_back(canonical_filter(filter, device));
    }
  }
  return lines;
}

Result<std::string> dump_network(const std::vector<Uplink>& uplinks) {
  return dump([&](const Link& link) {
    return is_lane(link) || std::ranges::find(uplinks, link.index, &Uplink::index) != uplinks.end();
  });
}

Result<std::string> dump_everything() {
  return dump([](const Link&) { return true; });
}

}  // namespace zq
