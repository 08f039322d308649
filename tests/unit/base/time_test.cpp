#include "agent/base/time.h"

#include <gtest/gtest.h>

namespace zq {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Duration, ParsesEveryUnit) {
  EXPECT_EQ(*parse_duration("250ms"), milliseconds(250));
  EXPECT_EQ(*parse_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(*parse_duration("2m"), seconds(120));
  EXPECT_EQ(*parse_duration("1h"), seconds(3600));
  EXPECT_EQ(*parse_duration("10us"), std::chrono::microseconds(10));
  EXPECT_EQ(*parse_duration("0s"), Nanos{0});
}

TEST(Duration, RefusesWhatHasNoUnitOrNoSense) {
  for (const char* text : {"", "10", "s", "-1s", "1 s", "1s ", "1d", "nan", "1e3s", "99999999h"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Duration, PrintsShort) {
  EXPECT_EQ(format_duration(milliseconds(1500)), "1.5s");
  EXPECT_EQ(format_duration(milliseconds(250)), "250ms");
  EXPECT_EQ(format_duration(seconds(125)), "2m05s");
  EXPECT_EQ(format_duration(Nanos{0}), "0s");
  EXPECT_EQ(format_duration(-milliseconds(30)), "-30ms");
}

}  // namespace
}  // namespace zq
