#include "results/table.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace zq {

namespace {

constexpr std::size_t kIndent = 2;
constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowest = 8;  // a wrapped column is not made narrower

bool continues_code_point(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

std::size_t length(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues_code_point(c); }));
}

// Bytes of the first `count` code points.
std::size_t bytes_of(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  for (; count > 0 && at < text.size(); --count) {
    ++at;
    while (at < text.size() && continues_code_point(text[at])) ++at;
  }
  return at;
}

std::string_view escape_of(Style style) {
  switch (style) {
    case Style::kGood:
      return "\x1b[32m";
    case Style::kBad:
      return "\x1b[1;31m";
    case Style::kWarning:
      return "\x1b[33m";
    case Style::kFaint:
      return "\x1b[2m";
    case Style::kStrong:
      return "\x1b[1m";
    case Style::kPlain:
      break;
  }
  return "";
}

void wrap_line(std::string_view text, std::size_t width, std::vector<std::string>& lines) {
  std::string line;
  std::size_t used = 0;
  while (!text.empty()) {
    const std::size_t blank = text.find(' ');
    std::string_view word = text.substr(0, blank);
    text.remove_prefix(blank == std::string_view::npos ? text.size() : blank + 1);
    if (!line.empty() && used + 1 + length(word) > width) {
      lines.push_back(std::move(line));
      line.clear();
      used = 0;
    }
    if (!line.empty()) {
      line += ' ';
      ++used;
    }
    while (length(word) > width) {
      const std::size_t cut = bytes_of(word, width);
      lines.emplace_back(word.substr(0, cut));
      word.remove_prefix(cut);
    }
    line += word;
    used += length(word);
  }
  lines.push_back(std::move(line));
}

}  // namespace

std::string styled(std::string_view text, Style style, bool color) {
  const std::string_view escape = escape_of(style);
  if (!color || escape.empty() || text.empty()) return std::string(text);
  return fmt::format("{}{}\x1b[0m", escape, text);
}

std::size_t terminal_width() {
  if (const char* columns = std::getenv("COLUMNS")) {
    const unsigned long width = std::strtoul(columns, nullptr, 10);
    if (width >= 40 && width <= 1000) return width;
  }
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) return size.ws_col;
  return 100;
}

bool wants_color(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return isatty(fd) == 1 && (no_color == nullptr || *no_color == '\0') &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  width = std::max<std::size_t>(width, 1);
  std::vector<std::string> lines;
  for (;;) {
    const std::size_t end = text.find('\n');
    wrap_line(text.substr(0, end), width, lines);
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::size_t> Table::widths(std::size_t width) const {
  std::vector<std::size_t> result;
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    std::size_t widest = length(columns_[column].title);
    for (const std::vector<Cell>& row : rows_) {
      widest = std::max(widest, length(row[column].text));
    }
    result.push_back(widest);
  }
  const std::size_t fixed = kIndent + kGap * (columns_.size() - 1);
  while (std::accumulate(result.begin(), result.end(), fixed) > width) {
    std::size_t* widest = nullptr;
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      if (columns_[column].align == Align::kRight || result[column] <= kNarrowest) continue;
      if (widest == nullptr || result[column] > *widest) widest = &result[column];
    }
    if (widest == nullptr) break;  // it cannot get narrower; the terminal wraps
    --*widest;
  }
  return result;
}

std::string Table::render(std::size_t width, bool color) const {
  if (columns_.empty()) return "";
  const std::vector<std::size_t> column_widths = widths(width);
  std::string text;
  const auto line_of = [&](const auto& cell_at) {
    std::string line(kIndent, ' ');
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      const auto [content, style] = cell_at(column);
      const std::size_t wide = column_widths[column];
      const std::string pad(wide - std::min(length(content), wide), ' ');
      const std::string shown = styled(content, style, color);
      if (column > 0) line.append(kGap, ' ');
      line += columns_[column].align == Align::kRight ? pad + shown : shown + pad;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  };
  using Piece = std::pair<std::string, Style>;

  std::vector<std::vector<std::string>> lines(columns_.size());
  const auto emit = [&](const std::vector<Style>& styles) {
    std::size_t height = 0;
    for (const auto& cell : lines) height = std::max(height, cell.size());
    for (std::size_t i = 0; i < height; ++i) {
      line_of([&](std::size_t column) {
        return Piece{i < lines[column].size() ? lines[column][i] : "", styles[column]};
      });
    }
  };
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    lines[column] = wrap(columns_[column].title, column_widths[column]);
  }
  emit(std::vector<Style>(columns_.size(), Style::kStrong));
  line_of([&](std::size_t column) {
    return Piece{std::string(column_widths[column], '-'), Style::kFaint};
  });
  for (const std::vector<Cell>& row : rows_) {
    std::vector<Style> styles;
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      lines[column] = wrap(row[column].text, column_widths[column]);
      styles.push_back(row[column].style);
    }
    emit(styles);
  }
  return text;
}

}  // namespace zq
