#include "experiments/deviations.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "experiments/names.h"
#include "experiments/system_kind.h"
#include "experiments/toml_document.h"
#include "experiments/toml_language.h"
#include "experiments/toml_reader.h"

namespace zq {
namespace {

std::vector<unsigned> numbers_of(std::string_view version) {
  std::vector<unsigned> numbers;
  const char* at = version.data();
  const char* const end = at + version.size();
  while (at < end) {
    unsigned number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc{}) break;
    numbers.push_back(number);
    if (next == end || *next != '.') break;
    at = next + 1;
  }
  return numbers;
}

// 1.8 is 1.8.0.
bool is_before(std::vector<unsigned> a, std::vector<unsigned> b) {
  const std::size_t length = std::max(a.size(), b.size());
  a.resize(length);
  b.resize(length);
  return a < b;
}

bool is_version(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos &&
         !numbers_of(text).empty();
}

VersionRange read_range(const TomlString& text, TomlReport& report) {
  VersionRange range;
  const std::size_t dots = text.value.find("..");
  const std::string from = text.value.substr(0, dots);
  const std::string until = dots == std::string::npos ? "" : text.value.substr(dots + 2);
  const bool whole = dots != std::string::npos && (from.empty() || is_version(from)) &&
                     (until.empty() || is_version(until)) && !(from.empty() && until.empty());
  if (!whole) {
    report.add(
        text.position,
        "'{}' is no range of versions; expected FROM..UNTIL, one of which may be missing, like "
        "\"1.4.0..1.8.194\"",
        text.value);
    return range;
  }
  range.from = numbers_of(from);
  range.until = numbers_of(until);
  if (!range.until.empty() && !is_before(range.from, range.until)) {
    report.add(text.position, "no version is in '{}': {} is not before {}", text.value, from,
               until);
  }
  return range;
}

void read_statement(TomlTable& table, Expectation& instead) {
  std::size_t forms = 0;
  for (const auto& [key, temporal] :
       {std::pair("always", Temporal::kAlways), std::pair("never", Temporal::kNever),
        std::pair("eventually", Temporal::kEventually)}) {
    const auto text = table.string(key);
    if (!text) continue;
    ++forms;
    instead.temporal = temporal;
    if (auto condition = read_condition(*text, table.report())) {
      instead.condition = std::move(*condition);
    }
  }
  if (forms != 1) {
    table.report().add(table.position(),
                       "'instead' has {} statements; expected exactly one of always, never and "
                       "eventually",
                       forms);
  }
  if (instead.temporal == Temporal::kEventually) {
    if (const auto within = table.required_string("within", "a bound, like \"election_max\"")) {
      instead.within = read_seconds(*within, "within", table.report());
    }
  } else {
    table.refuse("within", "'within' belongs to 'eventually'");
  }
  if (const auto hold = table.duration("for")) instead.hold = *hold;
  if (const auto during = table.string("during")) instead.during = during->value;
  table.finish();
}

Deviation read_deviation(TomlTable& table, UniqueNames& ids) {
  Deviation deviation;
  deviation.position = table.position();
  const auto take = [&](std::string_view key, std::string_view expected) {
    const auto text = table.required_string(key, expected);
    return text.value_or(TomlString{});
  };
  const TomlString id = take("id", "where it is recorded, like \"MARATHON-8422\"");
  deviation.id = id.value;
  if (!id.value.empty()) ids.add(id, table.report());
  const TomlString system = take("system", "a kind of system, like \"marathon\"");
  deviation.system = system.value;
  if (!system.value.empty()) check_choice(system, system_kinds(), "kind of system", table.report());
  const TomlString versions = take("versions", "FROM..UNTIL, like \"1.4.0..1.8.194\"");
  if (!versions.value.empty()) deviation.versions = read_range(versions, table.report());
  for (const TomlString& name : table.strings("experiments")) {
    deviation.experiments.push_back(name.value);
  }
  if (deviation.experiments.empty()) {
    table.report().add(table.value_position("experiments"),
                       "'{}' names no experiment of the catalogue", deviation.id);
  }
  deviation.expectation = take("expectation", "the id of an [[expect]]").value;
  deviation.note = take("note", "what happens, for people").value;
  if (auto instead = table.table("instead")) {
    read_statement(*instead, deviation.instead);
  } else if (!table.has("instead")) {
    table.add_missing("instead", "what happens instead, like { always = \"...\" }");
  }
  table.finish();
  return deviation;
}

}  // namespace

bool VersionRange::contains(std::string_view version) const {
  const std::vector<unsigned> numbers = numbers_of(version);
  if (numbers.empty()) return false;
  if (is_before(numbers, from)) return false;
  return until.empty() || is_before(numbers, until);
}

Result<std::vector<Deviation>> parse_deviations(const std::string& text, const std::string& path) {
  ZQ_TRY(const TomlValue document, parse_toml(text, path));
  TomlReport report(text);
  TomlTable root(document, "the table of known deviations", report);
  std::vector<Deviation> deviations;
  UniqueNames ids("deviation");
  for (TomlTable& table : root.tables("deviation")) {
    deviations.push_back(read_deviation(table, ids));
  }
  root.finish();
  ZQ_CHECK(report.status());
  return deviations;
}

Result<std::vector<Deviation>> load_deviations(const std::string& path) {
  ZQ_TRY(const std::string text, read_text_file(path));
  return parse_deviations(text, path);
}

}  // namespace zq
