#include "agent/base/short_hash.h"

#include <openssl/sha.h>

#include <array>

namespace zq {

std::uint64_t short_hash(std::string_view text) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 8; ++i) value = value << 8 | digest[i];
  return value;
}

}  // namespace zq
