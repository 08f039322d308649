#include "agent/dataplane/addresses.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "agent/dataplane/netlink.h"

namespace zq {
namespace {

struct DeviceAddress {
  unsigned index = 0;
  IpAddress address;
};

std::optional<IpAddress> to_address(const std::vector<std::uint8_t>& bytes) {
  std::array<std::uint8_t, 16> raw{};
  if (bytes.size() == 4) {
    raw[10] = raw[11] = 0xff;
    std::ranges::copy(bytes, raw.begin() + 12);
  } else if (bytes.size() == raw.size()) {
    std::ranges::copy(bytes, raw.begin());
  } else {
    return std::nullopt;
  }
  return IpAddress::from_bytes(raw);
}

bool is_link_local(const IpAddress& address) {
  if (address.is_v4()) return address.v4_bytes()[0] == 169 && address.v4_bytes()[1] == 254;
  return address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0) == 0x80;
}

// Those that traffic with other nodes may use.
Result<std::vector<DeviceAddress>> list_addresses(NetlinkSocket& socket) {
  NetlinkMessage message(RTM_GETADDR, 0);
  message.header(ifaddrmsg{});
  std::vector<DeviceAddress> addresses;
  const NetlinkAnswer answer = socket.dump(
      message, [&] { addresses.clear(); },
      [&](const nlmsghdr* header) {
        if (header->nlmsg_type != RTM_NEWADDR) return;
        const auto* info = static_cast<const ifaddrmsg*>(nlmsg_data(header));
        if (info->ifa_scope >= RT_SCOPE_LINK) return;  // or loopback's
        const auto attributes = Attributes<IFA_MAX + 1>::of(header, sizeof(ifaddrmsg));
        // On links between two ends IFA_ADDRESS is the other one.
        const int own = attributes[IFA_LOCAL] != nullptr ? IFA_LOCAL : IFA_ADDRESS;
        const auto address = to_address(attributes.bytes(own));
        if (address && !is_link_local(*address)) addresses.push_back({info->ifa_index, *address});
      });
  if (!answer.ok()) return answer.as_error("listing addresses");
  return addresses;
}

// By the longest prefix, as the gate looks it up.
const BookAddress* look_up(const std::vector<BookAddress>& book, const IpAddress& address) {
  const BookAddress* best = nullptr;
  for (const BookAddress& entry : book) {
    if (!entry.prefix.contains(address)) continue;
    if (best == nullptr || entry.prefix.length() > best->prefix.length()) best = &entry;
  }
  return best;
}

}  // namespace

Result<std::vector<std::string>> unlisted_addresses(const GateConfig& config) {
  ZQ_TRY(auto socket, NetlinkSocket::open());
  ZQ_TRY(const auto addresses, list_addresses(socket));
  std::vector<std::string> unlisted;
  for (const DeviceAddress& found : addresses) {
    const auto uplink = std::ranges::find(config.uplinks, found.index, &Uplink::index);
    if (uplink == config.uplinks.end()) continue;
    const BookAddress* entry = look_up(config.book, found.address);
    if (entry != nullptr && entry->group == config.own_group) continue;
    unlisted.push_back(fmt::format(
        "device {} also has {}, which the cluster file {}: traffic over it would not be impaired",
        uplink->device, found.address.to_string(),
        entry == nullptr ? "does not list for this node" : "gives to other nodes"));
  }
  return unlisted;
}

}  // namespace zq
