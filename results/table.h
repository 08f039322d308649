// Tables and colours for a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace zq {

enum class Style { kPlain, kGood, kBad, kWarning, kFaint, kStrong };

// The text in the style's colour; unchanged without `color`.
[[nodiscard]] std::string styled(std::string_view text, Style style, bool color);

// COLUMNS, else what the terminal on standard output says, else 100.
[[nodiscard]] std::size_t terminal_width();
// Whether output to `fd` should be coloured: a terminal, and NO_COLOR is not set.
[[nodiscard]] bool wants_color(int fd);

// Breaks at blanks, inside a word only where it is longer than a line. Widths are numbers of code
// points. At least one line.
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, std::size_t width);

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;  // right-aligned columns hold numbers and are never wrapped
  };
  struct Cell {
    Cell(std::string content, Style look = Style::kPlain)  // NOLINT(google-explicit-constructor)
        : text(std::move(content)), style(look) {}
    std::string text;
    Style style;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns.
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  // Indented by two blanks; long cells of left-aligned columns are wrapped to fit into `width`.
  [[nodiscard]] std::string render(std::size_t width, bool color) const;

 private:
  [[nodiscard]] std::vector<std::size_t> widths(std::size_t width) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace zq
