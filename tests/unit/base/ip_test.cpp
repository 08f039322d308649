#include "agent/base/ip.h"

#include <gtest/gtest.h>

namespace zq {
namespace {

TEST(IpPrefix, ParsesBothFamiliesAndPrintsThemBack) {
  for (const char* text : {"10.66.0.0/16", "10.66.1.1", "fd66::/16", "fd66:1::1", "0.0.0.0/0"}) {
    const auto prefix = IpPrefix::parse(text);
    ASSERT_TRUE(prefix) << text << ": " << prefix.error().message;
    EXPECT_EQ(prefix->to_string(), text);
  }
}

TEST(IpPrefix, RefusesWhatIsNoPrefix) {
  for (const char* text : {"", "10.66.0", "10.66.0.0/33", "10.66.0.1/16", "fd66::1/16",
                           "fd66::/129", "10.0.0.0/", "10.0.0.0/8x", "host"}) {
    EXPECT_FALSE(IpPrefix::parse(text)) << text;
  }
}

TEST(IpPrefix, ContainsRespectsFamilyAndLength) {
  const auto v4 = *IpPrefix::parse("10.66.0.0/16");
  EXPECT_TRUE(v4.contains(*IpAddress::parse("10.66.255.1")));
  EXPECT_FALSE(v4.contains(*IpAddress::parse("10.67.0.1")));
  EXPECT_FALSE(v4.contains(*IpAddress::parse("fd66::1")));
  const auto everything_v6 = *IpPrefix::parse("::/0");
  EXPECT_FALSE(everything_v6.contains(*IpAddress::parse("10.0.0.1")));
  EXPECT_TRUE(v4.overlaps(*IpPrefix::parse("10.0.0.0/8")));
  EXPECT_FALSE(v4.overlaps(*IpPrefix::parse("10.67.0.0/16")));
}

}  // namespace
}  // namespace zq
