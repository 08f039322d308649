#include "agent/probe/framing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace zq::probe_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Taken {
  std::vector<std::string> events;
  std::string error;
  bool in_the_middle = false;
};

// The text cut into pieces of `piece` bytes.
Taken take(std::unique_ptr<Framing> framing, const std::string& text, std::size_t piece) {
  Taken taken;
  for (std::size_t at = 0; at < text.size() && taken.error.empty(); at += piece) {
    const Status status = framing->take(std::string_view(text).substr(at, piece), [&](auto event) {
      taken.events.push_back(std::move(event));
    });
    if (!status) taken.error = status.error().message;
  }
  taken.in_the_middle = framing->in_the_middle();
  return taken;
}

TEST(RecordIo, AnyCutGivesTheSameRecords) {
  const std::string text = "3\nabc0\n10\n{\"a\":\n\"b\"}2\n12";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const Taken taken = take(make_record_io(), text, piece);
    EXPECT_EQ(taken.error, "");
    EXPECT_THAT(taken.events, ElementsAre("abc", "", "{\"a\":\n\"b\"}", "12")) << piece;
    EXPECT_FALSE(taken.in_the_middle);
  }
}

TEST(RecordIo, KnowsThatSomethingIsMissing) {
  EXPECT_TRUE(take(make_record_io(), "3\nab", 1).in_the_middle);
  EXPECT_TRUE(take(make_record_io(), "3", 1).in_the_middle);
}

TEST(RecordIo, WhatIsNotALengthEndsTheStream) {
  for (const char* text : {"<html>", "\n", "-1\n", "1x\n", "3 \nabc"}) {
    const Taken taken = take(make_record_io(), text, 1);
    EXPECT_THAT(taken.error, HasSubstr("not RecordIO")) << text;
    EXPECT_TRUE(taken.events.empty());
  }
  EXPECT_THAT(take(make_record_io(), std::string(100, '0'), 7).error, HasSubstr("endless"));
}

TEST(RecordIo, TooLargeIsKnownFromItsLength) {
  EXPECT_EQ(take(make_record_io(), "16777216\n", 1).error, "");
  EXPECT_THAT(take(make_record_io(), "16777217\n", 1).error, HasSubstr("at most 16 MiB"));
}

TEST(ServerSent, AnyCutGivesTheSameEvents) {
  const std::string text =
      "\xEF\xBB\xBF: a comment\r\n\r\nevent: status_update_event\r\ndata: {\"a\":1}\r\nid: "
      "7\r\n\r\n"
      "\r\nevent: without_data\n\ndata\n\ndata:one\rdata: two\r\rretry: 5\nevent:e\ndata:  x:y\n\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const Taken taken = take(make_server_sent(), text, piece);
    EXPECT_EQ(taken.error, "");
    EXPECT_THAT(taken.events, ElementsAre(R"({"data":"{\"a\":1}","event":"status_update_event"})",
                                          R"({"data":"","event":"message"})",
                                          R"({"data":"one\ntwo","event":"message"})",
                                          R"({"data":" x:y","event":"e"})"))
        << piece;
    EXPECT_FALSE(taken.in_the_middle);
  }
}

TEST(ServerSent, AnEventThatIsNotEndedIsNone) {
  const Taken taken = take(make_server_sent(), "data: x\n", 3);
  EXPECT_TRUE(taken.events.empty());
  EXPECT_TRUE(taken.in_the_middle);
}

TEST(ServerSent, TooLargeAlsoInManyLinesOrWithoutALineEnd) {
  const std::string megabyte(1U << 20, 'x');
  std::string lines;
  for (int i = 0; i < 17; ++i) lines += "data: " + megabyte + "\n";
  EXPECT_THAT(take(make_server_sent(), lines, 65'536).error, HasSubstr("at most 16 MiB"));
  std::string line = "data: ";
  for (int i = 0; i < 17; ++i) line += megabyte;
  EXPECT_THAT(take(make_server_sent(), line, 65'536).error, HasSubstr("at most 16 MiB"));
  // Fits as it came, but not as JSON.
  EXPECT_THAT(
      take(make_server_sent(), "data: " + std::string(9U << 20, '"') + "\n\n", 65'536).error,
      HasSubstr("at most 16 MiB"));
}

}  // namespace
}  // namespace zq::probe_test
