// Requests turned into typed orders. Everything that comes from the wire is checked here, with
// limits, before any part of the agent acts on it; errors are kInput and name the field.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/base/ip.h"
#include "agent/base/short_hash.h"
#include "agent/base/time.h"
#include "agent/dataplane/gate.h"
#include "agent/path_prober.h"

namespace zq {

struct ArmOrder {
  std::string run;
  std::uint64_t epoch = 0;
  GateConfig gate;  // without uplinks
  std::string book_hash;
  PathProberConfig paths;
  std::vector<IpAddress> peers;  // what the uplinks must reach
  Nanos lease{};
  Nanos orphan{};
};

// `node` is the agent's own name.
Result<ArmOrder> read_arm(const zonequake::ArmRequest& request, const std::string& node);

// `groups` is the number of groups that the run was armed with.
Result<GateProgramme> read_programme(const zonequake::LoadRequest& request, std::uint32_t groups);

Result<IpAddress> read_address(const std::string& bytes, std::string_view what);
[[nodiscard]] std::string write_address(const IpAddress& address);

// SHA-256 in hex over the entries ordered by (address, length, group): of each 16 bytes of mapped
// address, its mapped length as one byte, its group as four bytes, big endian.
[[nodiscard]] std::string hash_book(const std::vector<BookAddress>& book);

}  // namespace zq
