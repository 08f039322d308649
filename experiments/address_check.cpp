#include "experiments/address_check.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>

namespace zq {
namespace {

struct SpecialRange {
  std::string_view prefix;
  std::string_view what;
};
constexpr std::array kSpecialRanges{
    SpecialRange{"127.0.0.0/8", "a loopback address, which no fault ever touches"},
    SpecialRange{"::1", "a loopback address, which no fault ever touches"},
    SpecialRange{"224.0.0.0/4", "a multicast address, which belongs to no single node"},
    SpecialRange{"ff00::/8", "a multicast address, which belongs to no single node"},
    SpecialRange{"0.0.0.0/8", "no address of a node"},
    SpecialRange{"::", "no address of a node"},
};

void report_overlap(const PlacedAddress& a, const PlacedAddress& b, const Cluster& cluster,
                    TomlReport& report) {
  const bool in_order =
      std::tie(a.position.line, a.position.column) < std::tie(b.position.line, b.position.column);
  const PlacedAddress& first = in_order ? a : b;
  const PlacedAddress& second = in_order ? b : a;
  const std::string owner = first.node == second.node
                                ? "this node"
                                : fmt::format("node '{}'", cluster.nodes[first.node].name);
  if (first.prefix == second.prefix) {
    report.add(second.position, "address {} is listed already for {} on line {}",
               second.prefix.to_string(), owner, first.position.line);
  } else {
    report.add(second.position, "address {} overlaps {} of {} on line {}",
               second.prefix.to_string(), first.prefix.to_string(), owner, first.position.line);
  }
}

}  // namespace

void check_addresses_apart(std::vector<PlacedAddress> addresses, const Cluster& cluster,
                           TomlReport& report) {
  // Two prefixes are apart or one holds the other. In this order whoever holds an address comes
  // before it, with nothing but prefixes inside the holder in between.
  std::sort(addresses.begin(), addresses.end(), [](const PlacedAddress& a, const PlacedAddress& b) {
    return std::tuple(a.prefix.is_v4(), a.prefix.address(), a.prefix.length()) <
           std::tuple(b.prefix.is_v4(), b.prefix.address(), b.prefix.length());
  });
  const PlacedAddress* holder = nullptr;
  const PlacedAddress* previous = nullptr;
  for (const PlacedAddress& address : addresses) {
    const bool inside = holder != nullptr && holder->prefix.overlaps(address.prefix);
    if (previous != nullptr && previous->prefix == address.prefix) {
      report_overlap(*previous, address, cluster, report);
    } else if (inside && holder->node != address.node) {
      report_overlap(*holder, address, cluster, report);
    }
    if (!inside) holder = &address;
    previous = &address;
  }
}

void check_address_usable(const IpPrefix& prefix, const Position& position, TomlReport& report) {
  for (const SpecialRange& range : kSpecialRanges) {
    const auto special = IpPrefix::parse(range.prefix);
    if (special && special->contains(prefix.address()) && special->length() <= prefix.length()) {
      report.add(position, "{} is {}", prefix.to_string(), range.what);
      return;
    }
  }
}

}  // namespace zq
