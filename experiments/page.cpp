#include "experiments/page.h"

#include <algorithm>

#include "experiments/names.h"
#include "experiments/toml_document.h"
#include "experiments/toml_language.h"
#include "experiments/toml_reader.h"

namespace zq {
namespace {

// Those of `zonequake check`, one per recommendation.
const std::vector<std::string>& check_ids() {
  static const std::vector<std::string> kIds{"P-01", "P-02", "P-03", "P-04", "P-05", "P-06",
                                             "P-07", "P-08", "P-09", "P-10", "P-11", "P-12"};
  return kIds;
}

std::string required(TomlTable& table, std::string_view key, std::string_view expected) {
  const auto text = table.required_string(key, expected);
  return text ? text->value : std::string{};
}

std::string choice(TomlTable& table, std::string_view key, const std::vector<std::string>& known) {
  const auto text = table.required_string(key, "one of those that page.h names");
  if (!text) return {};
  check_choice(*text, known, key, table.report());
  return text->value;
}

PageStatement read_statement(TomlTable& table, UniqueNames& ids) {
  PageStatement statement;
  statement.position = table.position();
  if (const auto id = table.required_string("id", "a name, like \"T1-C2\"")) {
    statement.id = id->value;
    ids.add(*id, table.report());
  }
  statement.topology = choice(table, "topology", {"T1", "T2", "T3", "T4", "general"});
  statement.kind = choice(table, "kind", {"caveat", "recommendation"});
  statement.text = required(table, "text", "the sentence, verbatim");
  for (const TomlString& name : table.strings("experiments")) {
    statement.experiments.push_back(name.value);
  }
  for (const TomlString& name : table.strings("checks")) {
    check_choice(name, check_ids(), "check", table.report());
    statement.checks.push_back(name.value);
  }
  if (const auto note = table.string("note")) statement.note = note->value;
  if (statement.experiments.empty() && statement.checks.empty() && statement.note.empty()) {
    table.report().add(table.position(),
                       "nothing tries statement '{}'; name experiments or checks, or say in a "
                       "'note' why it is not built",
                       statement.id);
  }
  table.finish();
  return statement;
}

std::string_view without_front_matter(std::string_view text) {
  if (!text.starts_with("---\n")) return text;
  const std::size_t end = text.find("\n---\n", 3);
  return end == std::string_view::npos ? text : text.substr(end + 5);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\r')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

void split_sentences(std::string_view line, std::vector<std::string>& sentences) {
  for (std::size_t at = line.find(". "); at != std::string_view::npos;
       at = line.find(". ", at + 1)) {
    const char next = at + 2 < line.size() ? line[at + 2] : ' ';
    if (next != '*' && (next < 'A' || next > 'Z')) continue;
    sentences.emplace_back(trimmed(line.substr(0, at + 1)));
    line = line.substr(at + 2);
    at = 0;
  }
  if (!trimmed(line).empty()) sentences.emplace_back(trimmed(line));
}

}  // namespace

Result<PageTable> parse_page(const std::string& text, const std::string& path) {
  ZQ_TRY(const TomlValue document, parse_toml(text, path));
  TomlReport report(text);
  TomlTable root(document, "the page's table", report);
  PageTable page;
  UniqueNames ids("statement");
  for (TomlTable& table : root.tables("statement")) {
    page.statements.push_back(read_statement(table, ids));
  }
  for (TomlTable& table : root.tables("other")) {
    page.other.push_back(required(table, "text", "the sentence, verbatim"));
    table.finish();
  }
  root.finish();
  ZQ_CHECK(report.status());
  return page;
}

Result<PageTable> load_page(const std::string& path) {
  ZQ_TRY(const std::string text, read_text_file(path));
  return parse_page(text, path);
}

std::vector<std::string> page_sentences(std::string_view markdown) {
  std::vector<std::string> sentences;
  // The note of where the page comes from.
  if (const std::size_t end = markdown.find("-->\n");
      markdown.starts_with("<!--") && end != std::string_view::npos) {
    markdown = markdown.substr(end + 4);
  }
  markdown = without_front_matter(markdown);
  while (!markdown.empty()) {
    const std::size_t end = std::min(markdown.find('\n'), markdown.size());
    std::string_view line = trimmed(markdown.substr(0, end));
    markdown = markdown.substr(std::min(end + 1, markdown.size()));
    if (line.starts_with("#")) continue;
    if (line.starts_with("- ")) line = trimmed(line.substr(2));
    split_sentences(line, sentences);
  }
  return sentences;
}

}  // namespace zq
