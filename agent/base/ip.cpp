#include "agent/base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace zq {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// Number of leading bits in which both agree.
unsigned common_bits(const std::array<std::uint8_t, 16>& a, const std::array<std::uint8_t, 16>& b) {
  unsigned bits = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const unsigned difference = static_cast<unsigned>(a[i] ^ b[i]);
    if (difference == 0) {
      bits += 8;
      continue;
    }
    for (unsigned mask = 0x80; (difference & mask) == 0; mask >>= 1) ++bits;
    break;
  }
  return bits;
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  IpAddress result;
  std::array<std::uint8_t, 4> v4{};
  if (inet_pton(AF_INET, terminated.c_str(), v4.data()) == 1) {
    std::copy(kMapped.begin(), kMapped.end(), result.bytes_.begin());
    std::copy(v4.begin(), v4.end(), result.bytes_.begin() + 12);
    return result;
  }
  if (inet_pton(AF_INET6, terminated.c_str(), result.bytes_.data()) == 1) return result;
  return fail(ErrorCode::kInput, "'{}' is not an IPv4 or IPv6 address", text);
}

IpAddress IpAddress::from_bytes(const std::array<std::uint8_t, 16>& bytes) {
  IpAddress result;
  result.bytes_ = bytes;
  return result;
}

IpAddress IpAddress::from_v4(std::uint32_t host_order) {
  IpAddress result;
  std::copy(kMapped.begin(), kMapped.end(), result.bytes_.begin());
  for (unsigned i = 0; i < 4; ++i) {
    result.bytes_[12 + i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  }
  return result;
}

bool IpAddress::is_v4() const { return std::equal(kMapped.begin(), kMapped.end(), bytes_.begin()); }

std::array<std::uint8_t, 4> IpAddress::v4_bytes() const {
  std::array<std::uint8_t, 4> result{};
  std::copy(bytes_.begin() + 12, bytes_.end(), result.begin());
  return result;
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_v4()) {
    inet_ntop(AF_INET, bytes_.data() + 12, text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
  }
  return text.data();
}

Result<IpPrefix> IpPrefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  ZQ_TRY(const IpAddress address, IpAddress::parse(text.substr(0, slash)));
  IpPrefix result = host(address);
  if (slash == std::string_view::npos) return result;
  const std::string_view digits = text.substr(slash + 1);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), result.length_);
  const unsigned longest = address.is_v4() ? 32 : 128;
  if (error != std::errc{} || end != digits.data() + digits.size() || result.length_ > longest) {
    return fail(ErrorCode::kInput, "'{}' has no prefix length between 0 and {}", text, longest);
  }
  const unsigned skip = address.is_v4() ? 96 : 0;
  for (unsigned bit = skip + result.length_; bit < 128; ++bit) {
    if ((address.bytes()[bit / 8] & (0x80U >> (bit % 8))) != 0) {
      return fail(ErrorCode::kInput, "'{}' has bits set behind its prefix length", text);
    }
  }
  return result;
}

IpPrefix IpPrefix::host(const IpAddress& address) {
  IpPrefix result;
  result.address_ = address;
  result.length_ = address.is_v4() ? 32 : 128;
  return result;
}

bool IpPrefix::contains(const IpAddress& address) const {
  if (address.is_v4() != is_v4()) return false;
  return common_bits(address.bytes(), address_.bytes()) >= length_ + (is_v4() ? 96 : 0);
}

bool IpPrefix::overlaps(const IpPrefix& other) const {
  return length_ <= other.length_ ? contains(other.address_) : other.contains(address_);
}

std::string IpPrefix::to_string() const {
  if (is_host()) return address_.to_string();
  return fmt::format("{}/{}", address_.to_string(), length_);
}

}  // namespace zq
