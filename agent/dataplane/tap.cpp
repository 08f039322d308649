#include "agent/dataplane/tap.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace zq {
namespace {

constexpr const char* kTunDevice = "/dev/net/tun";
constexpr unsigned kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
// TUN_F_USO4 | TUN_F_USO6, segmentation of UDP: since Linux 6.2, after the headers built with.
constexpr unsigned kUdpOffloads = 0x20 | 0x40;

Result<UniqueFd> open_tun() {
  UniqueFd fd(::open(kTunDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail_errno(errno, fmt::format("opening {}", kTunDevice));
  return fd;
}

// Without those of UDP the kernel cuts UDP packets to the wire's size first: right, only slower.
Status set_offloads(int fd) {
  if (::ioctl(fd, TUNSETOFFLOAD, kOffloads | kUdpOffloads) == 0) return {};
  if (::ioctl(fd, TUNSETOFFLOAD, kOffloads) == 0) return {};
  return fail_errno(errno, "asking the TAP device for offloaded packets");
}

ifinfomsg link_header(unsigned index) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(index);
  return header;
}

// Nobody but steering may put packets into the device: no addresses, no neighbour discovery.
NetlinkAnswer configure(NetlinkSocket& socket, unsigned index, bool ipv6) {
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(link_header(index)).put(IFLA_TXQLEN, kTapQueueLength);
  if (ipv6) {
    message.nest(IFLA_AF_SPEC, [](NetlinkMessage& families) {
      families.nest(AF_INET6, [](NetlinkMessage& family) {
        family.put(IFLA_INET6_ADDR_GEN_MODE, std::uint8_t{IN6_ADDR_GEN_MODE_NONE});
      });
    });
  }
  return socket.request(message);
}

// Apart from the above: of one message the kernel obeys the flags first.
NetlinkAnswer bring_up(NetlinkSocket& socket, unsigned index) {
  ifinfomsg header = link_header(index);
  header.ifi_flags = IFF_UP | IFF_NOARP;
  header.ifi_change = IFF_UP | IFF_NOARP;
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(header);
  return socket.request(message);
}

}  // namespace

Result<Tap> Tap::make(const std::string& name) {
  ZQ_TRY(UniqueFd fd, open_tun());
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) {
    return fail(ErrorCode::kInternal, "the device name '{}' is too long", name);
  }
  std::ranges::copy(name, request.ifr_name);
  // IFF_TUN_EXCL is the top bit of a short.
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL);
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    if (errno == EBUSY || errno == EEXIST) {
      return fail(ErrorCode::kExists,
                  "there is a device '{}' already: another agent serves this network namespace, or "
                  "somebody else made it; stop that agent, or remove the device",
                  name);
    }
    return fail_errno(errno, fmt::format("making the TAP device {}", name));
  }
  ZQ_CHECK(set_offloads(fd.get()));
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return fail_errno(errno, fmt::format("looking up the TAP device {}", name));
  ZQ_TRY(NetlinkSocket socket, NetlinkSocket::open());
  NetlinkAnswer answer = configure(socket, index, true);
  if (!answer.ok()) answer = configure(socket, index, false);  // a kernel without IPv6
  if (answer.ok()) answer = bring_up(socket, index);
  if (!answer.ok()) return answer.as_error(fmt::format("setting up the TAP device {}", name));
  return Tap(std::move(fd), index, std::make_unique<Control>(std::move(socket)));
}

std::uint64_t Tap::dropped() const {
  NetlinkMessage message(RTM_GETLINK, 0);
  message.header(link_header(index_));
  std::uint64_t dropped = 0;
  const std::lock_guard lock(control_->mutex);
  const NetlinkAnswer answer = control_->socket.request(message, [&](const nlmsghdr* header) {
    if (header->nlmsg_type != RTM_NEWLINK) return;
    const auto attributes = Attributes<IFLA_MAX + 1>::of(header, sizeof(ifinfomsg));
    const auto raw = attributes.bytes(IFLA_STATS64);
    constexpr std::size_t kOffset = offsetof(rtnl_link_stats64, tx_dropped);
    if (raw.size() < kOffset + sizeof dropped) return;
    std::memcpy(&dropped, raw.data() + kOffset, sizeof dropped);
  });
  return answer.ok() ? dropped : 0;
}

Status check_tap() {
  ZQ_TRY(const UniqueFd fd, open_tun());
  unsigned features = 0;
  if (::ioctl(fd.get(), TUNGETFEATURES, &features) != 0) {
    return fail_errno(errno, "asking the TUN driver what it can do");
  }
  if ((features & IFF_TAP) == 0 || (features & IFF_VNET_HDR) == 0) {
    return fail(ErrorCode::kKernel, "the TUN driver has no TAP devices with offloads");
  }
  return {};
}

}  // namespace zq
