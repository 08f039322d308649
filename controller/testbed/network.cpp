#include "controller/testbed/network.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "agent/base/netns.h"
#include "agent/base/unique_fd.h"
#include "controller/testbed/files.h"
#include "controller/testbed/netlink.h"

namespace zq::testbed {
namespace {

constexpr const char* kNetnsDir = "/run/netns";
// Stands when it was us who made /run/netns a mount point; holds kMadeDirectory if also the
// directory.
constexpr const char* kNetnsMarker = "/run/zonequake/netns-mount";
constexpr const char* kMadeDirectory = "directory";
constexpr const char* kBridge = "br0";
constexpr const char* kBridgeUplink = "core";
constexpr const char* kNodeDevice = "eth0";

using Sysctls = std::vector<std::pair<std::string, std::string>>;

// /run/netns must be a shared mount: otherwise every mount namespace made meanwhile keeps a copy of
// what is mounted there, and with it the network namespaces.
Status prepare_netns_directory() {
  const bool made = !path_exists(kNetnsDir);
  ZQ_CHECK(make_directories(kNetnsDir));
  if (::mount("", kNetnsDir, "none", MS_SHARED | MS_REC, nullptr) == 0) return {};
  if (errno != EINVAL) return fail_errno(errno, fmt::format("sharing {}", kNetnsDir));
  // Written in place: a draft beside it would stay if we died now.
  std::ofstream(kNetnsMarker) << (made ? kMadeDirectory : "");
  if (::mount(kNetnsDir, kNetnsDir, "none", MS_BIND | MS_REC, nullptr) != 0) {
    return fail_errno(errno, fmt::format("bind-mounting {}", kNetnsDir));
  }
  if (::mount("", kNetnsDir, "none", MS_SHARED | MS_REC, nullptr) != 0) {
    return fail_errno(errno, fmt::format("sharing {}", kNetnsDir));
  }
  return {};
}

// "net.ipv4.ip_forward" in the calling thread's network namespace; false if there is no such thing.
Result<bool> set_sysctl(const std::string& name, const std::string& value) {
  std::string path = "/proc/sys/" + name;
  for (char& c : path) {
    if (c == '.') c = '/';
  }
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return false;
  if (!fd || ::write(fd.get(), value.data(), value.size()) < 0) {
    return fail_errno(errno, fmt::format("setting {} to {}", name, value));
  }
  return true;
}

// A new namespace under its name, its loopback up; `inside` then runs in it.
Status create_netns(const std::string& name, const Sysctls& sysctls, std::set<std::string>& missing,
                    const std::function<Status(Netlink&)>& inside) {
  const std::string path = std::string(kNetnsDir) + "/" + name;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!file) return fail_errno(errno, fmt::format("creating {}", path));
  Status status;
  std::thread thread([&] {
    status = [&]() -> Status {
      if (::unshare(CLONE_NEWNET) != 0) return fail_errno(errno, "making a network namespace");
      if (::mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0) {
        return fail_errno(errno, fmt::format("mounting {}", path));
      }
      for (const auto& [key, value] : sysctls) {
        ZQ_TRY(const bool known, set_sysctl(key, value));
        if (!known) missing.insert(key);
      }
      ZQ_TRY(Netlink netlink, Netlink::connect());
      ZQ_CHECK(netlink.set_up("lo"));
      return inside(netlink);
    }();
  });
  thread.join();
  if (!status) return tl::unexpected(std::move(status.error()).with_context(name));
  return {};
}

Status in_named(const std::string& name, const std::function<Status(Netlink&)>& work) {
  ZQ_TRY(const UniqueFd netns, open_netns(name));
  return in_netns(netns.get(), [&]() -> Status {
    ZQ_TRY(Netlink netlink, Netlink::connect());
    return work(netlink);
  });
}

// Before any device exists, so that each comes with these.
Sysctls with_ipv6_quiet(const Sysctls& more) {
  Sysctls all{{"net.ipv6.conf.default.accept_dad", "0"},
              {"net.ipv6.conf.default.dad_transmits", "0"},
              {"net.ipv6.conf.default.accept_ra", "0"},
              {"net.ipv6.conf.default.router_solicitations", "0"}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

unsigned prefix_length(const IpAddress& address) {
  return address.is_v4() ? kSubnetLengthV4 : kSubnetLengthV6;
}

class Builder {
 public:
  Builder(const Layout& layout, const Sysctls& node_sysctls)
      : layout_(layout), node_sysctls_(with_ipv6_quiet(node_sysctls)) {}

  Status core() {
    const Sysctls sysctls =
        with_ipv6_quiet({{"net.ipv4.ip_forward", "1"}, {"net.ipv6.conf.all.forwarding", "1"}});
    return create_netns(layout_.core_netns(), sysctls, missing_,
                        [](Netlink&) -> Status { return {}; });
  }

  Status zone(const ZoneAddresses& zone, std::size_t index) {
    const std::string netns = layout_.zone_netns(zone.zone);
    // The bridge carries frames only: no addresses, no neighbour discovery of its own.
    const Sysctls sysctls{{"net.ipv6.conf.default.disable_ipv6", "1"}};
    const auto add_bridge = [](Netlink& netlink) -> Status {
      ZQ_CHECK(netlink.add_bridge(kBridge));
      return netlink.set_up(kBridge);
    };
    ZQ_CHECK(create_netns(netns, sysctls, missing_, add_bridge));
    ZQ_TRY(const UniqueFd zone_fd, open_netns(netns));
    const auto add_gateway = [&](Netlink& netlink) -> Status {
      const std::string device = core_device(index);
      ZQ_CHECK(netlink.add_veth(device, kBridgeUplink, zone_fd.get()));
      ZQ_CHECK(netlink.set_up(device));
      for (const auto& gateway : {zone.gateway_v4, zone.gateway_v6}) {
        if (!gateway) continue;
        ZQ_CHECK(netlink.add_address(device, *gateway, prefix_length(*gateway)));
      }
      return {};
    };
    ZQ_CHECK(in_named(layout_.core_netns(), add_gateway));
    ZQ_CHECK(in_named(netns,
                      [](Netlink& netlink) { return netlink.set_master(kBridgeUplink, kBridge); }));
    for (std::size_t i = 0; i < zone.nodes.size(); ++i) ZQ_CHECK(node(zone, i));
    return {};
  }

  [[nodiscard]] const std::set<std::string>& missing() const { return missing_; }

 private:
  Status node(const ZoneAddresses& zone, std::size_t index) {
    const NodeAddresses& node = zone.nodes[index];
    const std::string netns = layout_.node_netns(node.node);
    ZQ_CHECK(create_netns(netns, node_sysctls_, missing_, [](Netlink&) -> Status { return {}; }));
    ZQ_TRY(const UniqueFd node_fd, open_netns(netns));
    const auto connect = [&](Netlink& netlink) -> Status {
      const std::string device = fmt::format("n{}", index + 1);
      ZQ_CHECK(netlink.add_veth(device, kNodeDevice, node_fd.get()));
      return netlink.set_master(device, kBridge);
    };
    ZQ_CHECK(in_named(layout_.zone_netns(zone.zone), connect));
    return in_named(netns, [&](Netlink& netlink) -> Status {
      ZQ_CHECK(netlink.set_up(kNodeDevice));
      for (const IpAddress& address : node.addresses) {
        ZQ_CHECK(netlink.add_address(kNodeDevice, address, prefix_length(address)));
      }
      for (const auto& [gateway, v4] :
           {std::pair(zone.gateway_v4, true), std::pair(zone.gateway_v6, false)}) {
        const bool has_family =
            std::any_of(node.addresses.begin(), node.addresses.end(),
                        [v4 = v4](const IpAddress& address) { return address.is_v4() == v4; });
        if (gateway && has_family) ZQ_CHECK(netlink.add_default_route(kNodeDevice, *gateway));
      }
      return {};
    });
  }

  const Layout& layout_;
  const Sysctls node_sysctls_;
  std::set<std::string> missing_;
};

}  // namespace

std::vector<std::string> netns_names(const Layout& layout,
                                     const std::vector<ZoneAddresses>& zones) {
  std::vector<std::string> names{layout.core_netns()};
  for (const ZoneAddresses& zone : zones) {
    names.push_back(layout.zone_netns(zone.zone));
    for (const NodeAddresses& node : zone.nodes) names.push_back(layout.node_netns(node.node));
  }
  return names;
}

std::string core_device(std::size_t zone) { return fmt::format("z{}", zone + 1); }

bool netns_exists(const std::string& name) {
  return path_exists(std::string(kNetnsDir) + "/" + name);
}

Status build_network(const Layout& layout, const std::vector<ZoneAddresses>& zones,
                     const Sysctls& node_sysctls,
                     const std::function<void(const std::string&)>& progress) {
  ZQ_CHECK(prepare_netns_directory());
  Builder builder(layout, node_sysctls);
  ZQ_CHECK(builder.core());
  for (std::size_t i = 0; i < zones.size(); ++i) ZQ_CHECK(builder.zone(zones[i], i));
  for (const auto& [name, value] : node_sysctls) {
    if (progress && builder.missing().contains(name)) {
      progress(fmt::format("this kernel has no {}; the nodes run without it", name));
    }
  }
  return {};
}

Status remove_netns(const std::string& name) {
  const std::string path = std::string(kNetnsDir) + "/" + name;
  // EINVAL: the file was made but nothing was mounted on it yet.
  if (::umount2(path.c_str(), MNT_DETACH) != 0 && errno != ENOENT && errno != EINVAL) {
    return fail_errno(errno, fmt::format("unmounting {}", path));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(errno, fmt::format("removing {}", path));
  }
  return {};
}

void release_netns_directory() {
  const auto marker = read_file(kNetnsMarker);
  if (!marker) return;
  std::error_code ignored;
  if (path_exists(kNetnsDir)) {
    if (!std::filesystem::is_empty(kNetnsDir, ignored)) return;
    // Refused by the kernel while somebody has a namespace mounted there: then it stays.
    if (::umount2(kNetnsDir, 0) != 0 && errno != EINVAL) return;
    if (*marker == kMadeDirectory) ::rmdir(kNetnsDir);
  }
  ::unlink(kNetnsMarker);
}

}  // namespace zq::testbed
