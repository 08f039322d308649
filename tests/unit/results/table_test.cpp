#include "results/table.h"

#include <gmock/gmock.h>

#include <cstdlib>

namespace zq {
namespace {

using testing::ElementsAre;

TEST(Wrap, BreaksAtBlanksAndInsideWordsOnlyWhenItMust) {
  EXPECT_THAT(wrap("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrap("abcdefghij k", 4), ElementsAre("abcd", "efgh", "ij k"));
  EXPECT_THAT(wrap("a\nb", 10), ElementsAre("a", "b"));
  EXPECT_THAT(wrap("", 10), ElementsAre(""));
  EXPECT_THAT(wrap("äöü äöü", 3), ElementsAre("äöü", "äöü"));
  EXPECT_THAT(wrap("ééééé", 2), ElementsAre("éé", "éé", "é"));
  EXPECT_THAT(wrap("x", 0), ElementsAre("x"));
}

TEST(TableText, AlignsAndLeavesNoBlanksAtLineEnds) {
  Table table({{"Name"}, {"Count", Table::Align::kRight}, {"Note"}});
  table.add({{"a"}, {"7"}, {""}});
  table.add({{"long name"}, {"1234567"}, {"é"}});
  EXPECT_EQ(table.render(80, false),
            "  Name         Count  Note\n"
            "  ---------  -------  ----\n"
            "  a                7\n"
            "  long name  1234567  é\n");
}

TEST(TableText, WrapsTheWidestColumnsToFit) {
  Table table({{"A"}, {"B"}, {"N", Table::Align::kRight}});
  table.add({{"short"}, {"a text that is far too long for the table"}, {"123456789"}});
  EXPECT_EQ(table.render(36, false),
            "  A      B                         N\n"
            "  -----  ----------------  ---------\n"
            "  short  a text that is    123456789\n"
            "         far too long for\n"
            "         the table\n");
}

TEST(TableText, CannotGetNarrowerThanItsNumbers) {
  Table table({{"A"}, {"N", Table::Align::kRight}});
  table.add({{"abcdefghijkl"}, {"12345678901234567890"}});
  EXPECT_EQ(table.render(10, false),
            "  A                            N\n"
            "  --------  --------------------\n"
            "  abcdefgh  12345678901234567890\n"
            "  ijkl\n");
}

TEST(TableText, ColoursCellsNotPadding) {
  Table table({{"A"}, {"B"}});
  table.add({{"x", Style::kGood}, {"y"}});
  EXPECT_EQ(table.render(80, true),
            "  \x1b[1mA\x1b[0m  \x1b[1mB\x1b[0m\n"
            "  \x1b[2m-\x1b[0m  \x1b[2m-\x1b[0m\n"
            "  \x1b[32mx\x1b[0m  y\n");
}

TEST(TerminalWidth, FollowsColumnsIfItMakesSense) {
  ASSERT_EQ(setenv("COLUMNS", "72", 1), 0);
  EXPECT_EQ(terminal_width(), 72U);
  ASSERT_EQ(setenv("COLUMNS", "wide", 1), 0);
  EXPECT_GE(terminal_width(), 40U);
  ASSERT_EQ(unsetenv("COLUMNS"), 0);
}

}  // namespace
}  // namespace zq
