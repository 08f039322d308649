// IP addresses and prefixes of both families in one 16-byte form (IPv4 as ::ffff:a.b.c.d).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/error.h"

namespace zq {

class IpAddress {
 public:
  IpAddress() = default;
  static Result<IpAddress> parse(std::string_view text);
  static IpAddress from_bytes(const std::array<std::uint8_t, 16>& bytes);
  static IpAddress from_v4(std::uint32_t host_order);

  [[nodiscard]] bool is_v4() const;
  // Network byte order; IPv4 is mapped.
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  // The four bytes of an IPv4 address as the wire has them.
  [[nodiscard]] std::array<std::uint8_t, 4> v4_bytes() const;
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

class IpPrefix {
 public:
  IpPrefix() = default;
  // "10.0.0.0/8", "fd66::/16", or an address alone (a host prefix). Host bits must be zero.
  static Result<IpPrefix> parse(std::string_view text);
  static IpPrefix host(const IpAddress& address);

  [[nodiscard]] const IpAddress& address() const { return address_; }
  // In the family's own terms: 0..32 or 0..128.
  [[nodiscard]] unsigned length() const { return length_; }
  [[nodiscard]] bool is_v4() const { return address_.is_v4(); }
  [[nodiscard]] bool is_host() const { return length_ == (is_v4() ? 32U : 128U); }
  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] bool overlaps(const IpPrefix& other) const;
  // A host prefix prints as the bare address.
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const IpPrefix&) const = default;

 private:
  IpAddress address_;
  unsigned length_ = 0;
};

}  // namespace zq
