#include "agent/orders.h"

#include <openssl/sha.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

namespace zq {
namespace {

constexpr std::uint32_t kMaxGroups = 1U << 16;
constexpr int kMaxTargets = 1024;
constexpr double kMaxProbeRate = 20'000;       // per target and second
constexpr double kMaxNodeProbeRate = 200'000;  // of all targets
constexpr std::size_t kMaxName = 128;
constexpr std::uint32_t kDefaultLeaseMs = 3'000;
constexpr std::uint32_t kDefaultOrphanMs = 10'000;

unsigned mapped_length(const IpPrefix& prefix) {
  return prefix.length() + (prefix.is_v4() ? 96U : 0U);
}

Result<IpPrefix> read_prefix(const std::string& bytes, std::uint32_t length,
                             std::string_view what) {
  ZQ_TRY(const IpAddress address, read_address(bytes, what));
  const std::uint32_t skip = address.is_v4() ? 96 : 0;
  if (length < skip || length > 128) {
    return fail(ErrorCode::kInput, "{} {}: prefix length {} is outside {}..128", what,
                address.to_string(), length, skip);
  }
  auto prefix = IpPrefix::parse(fmt::format("{}/{}", address.to_string(), length - skip));
  if (!prefix) return tl::unexpected(std::move(prefix).error().with_context(what));
  return prefix;
}

Result<std::vector<BookAddress>> read_book(const zonequake::ArmRequest& request) {
  std::vector<BookAddress> book;
  book.reserve(static_cast<std::size_t>(request.book_size()));
  for (const auto& entry : request.book()) {
    ZQ_TRY(const IpPrefix prefix, read_prefix(entry.address(), entry.length(), "book"));
    if (entry.group() >= request.groups()) {
      return fail(ErrorCode::kInput, "book {}: group {} does not exist, there are {}",
                  prefix.to_string(), entry.group(), request.groups());
    }
    book.push_back({prefix, entry.group()});
  }
  return book;
}

Result<std::vector<GateExemption>> read_exemptions(const zonequake::ArmRequest& request) {
  std::vector<GateExemption> exemptions;
  for (const auto& entry : request.exempt()) {
    GateExemption exemption;
    exemption.any_address = entry.address().empty();
    if (!exemption.any_address) {
      ZQ_TRY(exemption.prefix, read_prefix(entry.address(), entry.length(), "exempt"));
    }
    if (entry.protocol() > 255) {
      return fail(ErrorCode::kInput, "exempt: IP protocol {} is above 255", entry.protocol());
    }
    if (entry.port() > 65'535) {
      return fail(ErrorCode::kInput, "exempt: port {} is above 65535", entry.port());
    }
    exemption.protocol = static_cast<std::uint8_t>(entry.protocol());
    exemption.port = static_cast<std::uint16_t>(entry.port());
    exemptions.push_back(exemption);
  }
  if (exemptions.size() > kMaxExemptions) {
    return fail(ErrorCode::kInput, "exempt: {} entries, at most {} are possible", exemptions.size(),
                kMaxExemptions);
  }
  return exemptions;
}

Result<PathProberConfig> read_paths(const zonequake::ArmRequest& request, const std::string& node) {
  PathProberConfig paths;
  paths.run = request.run().run();
  paths.node = node;
  paths.rate = request.probe_rate();
  if (!(paths.rate >= 0) || paths.rate > kMaxProbeRate) {
    return fail(ErrorCode::kInput, "probe_rate {} is outside 0..{} per target and second",
                paths.rate, kMaxProbeRate);
  }
  if (request.probe_port() > 65'535) {
    return fail(ErrorCode::kInput, "probe_port {} is above 65535", request.probe_port());
  }
  paths.port = static_cast<std::uint16_t>(request.probe_port());
  if (request.targets_size() > kMaxTargets) {
    return fail(ErrorCode::kInput, "targets: {} entries, at most {} are possible",
                request.targets_size(), kMaxTargets);
  }
  if (const double all = paths.rate * request.targets_size(); all > kMaxNodeProbeRate) {
    return fail(ErrorCode::kInput,
                "probe_rate {} to {} targets makes {:.0f} probes per second, at most {:.0f} are "
                "possible: lower the rate",
                paths.rate, request.targets_size(), all, kMaxNodeProbeRate);
  }
  for (const auto& bytes : request.own()) {
    ZQ_TRY(const IpAddress address, read_address(bytes, "own"));
    paths.own.push_back(address);
  }
  for (const auto& target : request.targets()) {
    ZQ_TRY(const IpAddress address, read_address(target.address(), "target " + target.node()));
    if (target.group() >= request.groups()) {
      return fail(ErrorCode::kInput, "target {}: group {} does not exist, there are {}",
                  target.node(), target.group(), request.groups());
    }
    paths.targets.push_back({target.node(), address, target.group(), target.agentless()});
  }
  if (!paths.targets.empty() && paths.port == 0) {
    return fail(ErrorCode::kInput, "probe_port is missing, but there are path targets");
  }
  return paths;
}

Result<Nanos> read_duration(std::uint32_t ms, std::uint32_t fallback, std::uint32_t least,
                            std::uint32_t most, std::string_view what) {
  const std::uint32_t value = ms == 0 ? fallback : ms;
  if (value < least || value > most) {
    return fail(ErrorCode::kInput, "{} {} is outside {}..{}", what, value, least, most);
  }
  return std::chrono::milliseconds(value);
}

// Hosts of the book that are not the node's own, and the path targets.
std::vector<IpAddress> list_peers(const ArmOrder& order) {
  std::set<IpAddress> peers;
  for (const auto& entry : order.gate.book) {
    if (entry.prefix.is_host()) peers.insert(entry.prefix.address());
  }
  for (const auto& target : order.paths.targets) peers.insert(target.address);
  for (const auto& own : order.paths.own) peers.erase(own);
  return {peers.begin(), peers.end()};
}

}  // namespace

Result<IpAddress> read_address(const std::string& bytes, std::string_view what) {
  std::array<std::uint8_t, 16> raw{};
  if (bytes.size() != raw.size()) {
    return fail(ErrorCode::kInput, "{}: an address has {} bytes instead of 16", what, bytes.size());
  }
  std::copy(bytes.begin(), bytes.end(), raw.begin());
  return IpAddress::from_bytes(raw);
}

std::string write_address(const IpAddress& address) {
  return {address.bytes().begin(), address.bytes().end()};
}

Result<ArmOrder> read_arm(const zonequake::ArmRequest& request, const std::string& node) {
  ArmOrder order;
  order.run = request.run().run();
  order.epoch = request.run().epoch();
  if (order.run.empty() || order.run.size() > kMaxName) {
    return fail(ErrorCode::kInput, "run: the id must have 1 to {} bytes", kMaxName);
  }
  if (request.groups() == 0 || request.groups() > kMaxGroups) {
    return fail(ErrorCode::kInput, "groups {} is outside 1..{}", request.groups(), kMaxGroups);
  }
  if (request.group() >= request.groups()) {
    return fail(ErrorCode::kInput, "group {} does not exist, there are {}", request.group(),
                request.groups());
  }
  order.gate.own_group = request.group();
  order.gate.groups = request.groups();
  ZQ_TRY(order.gate.book, read_book(request));
  ZQ_TRY(order.gate.exempt, read_exemptions(request));
  ZQ_TRY(order.paths, read_paths(request, node));
  ZQ_TRY(order.lease, read_duration(request.lease_ms(), kDefaultLeaseMs, 200, 60'000, "lease_ms"));
  ZQ_TRY(order.orphan,
         read_duration(request.orphan_ms(), kDefaultOrphanMs, 200, 3'600'000, "orphan_ms"));
  order.book_hash = hash_book(order.gate.book);
  if (!request.book_hash().empty() && request.book_hash() != order.book_hash) {
    return fail(ErrorCode::kInput, "book_hash: the controller says {}, the book received has {}",
                request.book_hash(), order.book_hash);
  }
  order.peers = list_peers(order);
  if (order.peers.empty()) {
    return fail(ErrorCode::kInput, "book: no host address of another node, so no uplink is known");
  }
  return order;
}

std::string hash_book(const std::vector<BookAddress>& book) {
  constexpr std::size_t kEntry = 16 + 1 + 4;
  std::vector<std::array<std::uint8_t, kEntry>> entries;
  entries.reserve(book.size());
  for (const auto& [prefix, group] : book) {
    std::array<std::uint8_t, kEntry> entry{};
    const auto& bytes = prefix.address().bytes();
    std::copy(bytes.begin(), bytes.end(), entry.begin());
    entry[16] = static_cast<std::uint8_t>(mapped_length(prefix));
    for (unsigned i = 0; i < 4; ++i) {
      entry[17 + i] = static_cast<std::uint8_t>(group >> (24 - 8 * i));
    }
    entries.push_back(entry);
  }
  std::sort(entries.begin(), entries.end());
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(entries.empty() ? nullptr : entries.front().data(), entries.size() * kEntry,
         digest.data());
  std::string text;
  for (const std::uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace zq
