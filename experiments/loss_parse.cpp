#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <limits>

#include "experiments/hint.h"
#include "experiments/impairment_parse.h"
#include "experiments/toml_document.h"
#include "experiments/toml_language.h"
#include "experiments/value_reader.h"

namespace zq {

namespace {

struct Parameter {
  std::string_view key;
  bool required;
  double otherwise;
};

// Reads the parameters in their order; false when something was reported.
template <std::size_t kCount>
bool read_parameters(TomlTable& table, const std::array<Parameter, kCount>& parameters,
                     LossModel& loss) {
  bool good = true;
  for (std::size_t i = 0; i < kCount; ++i) {
    const Parameter& parameter = parameters.at(i);
    loss.parameters.at(i) = parameter.otherwise;
    const TomlValue* value = table.raw(parameter.key);
    if (value == nullptr) {
      if (!parameter.required) continue;
      table.add_missing(parameter.key, "a probability, like \"1%\"");
      good = false;
      continue;
    }
    const auto number = read_probability_value(*value, parameter.key, table.report());
    if (number) loss.parameters.at(i) = *number;
    good = good && number.has_value();
  }
  return good;
}

std::vector<LossModel> read_loss_table(const TomlValue& value, TomlReport& report) {
  TomlTable table(value, "'loss'", report);
  LossModel loss;
  bool good = false;
  if (!table.has("model")) {
    table.ignore("model");
    loss.kind = LossModel::Kind::kRandom;
    good = read_parameters(
        table, std::array{Parameter{"p", true, 0}, Parameter{"correlation", false, 0}}, loss);
  } else if (const auto model = table.string("model")) {
    check_choice(*model, {"gilbert-elliott", "4-state"}, "model of loss", report);
    if (model->value == "gilbert-elliott") {
      loss.kind = LossModel::Kind::kGilbertElliott;
      good = read_parameters(table,
                             std::array{Parameter{"p", true, 0}, Parameter{"r", true, 0},
                                        Parameter{"bad", false, 1}, Parameter{"good", false, 0}},
                             loss);
    } else if (model->value == "4-state") {
      loss.kind = LossModel::Kind::kFourState;
      good = read_parameters(table,
                             std::array{Parameter{"p13", true, 0}, Parameter{"p31", true, 0},
                                        Parameter{"p32", false, 0}, Parameter{"p23", false, 1},
                                        Parameter{"p14", false, 0}},
                             loss);
    } else {
      return {};  // its keys mean nothing then
    }
  }
  table.finish();
  if (!good) return {};
  return {loss};
}

// tc's form: numbers, with comments from '#' to the end of the line.
Result<std::vector<std::int16_t>> parse_distribution(std::string_view text) {
  std::vector<std::int16_t> table;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    if (*at == '#') {
      at = std::find(at, end, '\n');
      continue;
    }
    if (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') {
      ++at;
      continue;
    }
    std::int16_t number = 0;
    const auto [rest, error] = std::from_chars(at, end, number);
    if (error != std::errc{} || table.size() == std::numeric_limits<std::int16_t>::max()) {
      const auto line = 1 + std::count(text.data(), at, '\n');
      return fail(ErrorCode::kInput,
                  "line {} holds something else than whole numbers of -32768 to 32767", line);
    }
    table.push_back(number);
    at = rest;
  }
  return table;
}

}  // namespace

std::vector<LossModel> read_loss(const TomlValue& value, TomlReport& report) {
  if (std::holds_alternative<TomlEntries>(value.data) && !is_linear_ramp(value)) {
    return read_loss_table(value, report);
  }
  std::vector<LossModel> models;
  for (const double share : read_series<double>(value, "loss", read_probability_value, report)) {
    LossModel loss;  // stays kNone for a step without any
    if (share > 0) loss.kind = LossModel::Kind::kRandom;
    loss.parameters[0] = share;
    models.push_back(loss);
  }
  return models;
}

bool read_distribution(const TomlString& text, Impairment& impairment, TomlReport& report) {
  static const std::vector<std::string> kNames{"uniform", "normal", "pareto", "paretonormal"};
  const auto named = std::find(kNames.begin(), kNames.end(), text.value);
  if (named != kNames.end()) {
    static constexpr std::array kValues{Distribution::kUniform, Distribution::kNormal,
                                        Distribution::kPareto, Distribution::kParetoNormal};
    impairment.distribution = kValues.at(static_cast<std::size_t>(named - kNames.begin()));
    return true;
  }
  if (text.value.find_first_of("./") == std::string::npos) {
    report.add(text.position, "unknown distribution '{}', and no path of a table, like ./my.dist{}",
               text.value, nearest_hint(text.value, kNames, "known distributions"));
    return false;
  }
  const auto path = std::filesystem::path(text.position.file).parent_path() / text.value;
  const auto content = read_text_file(path);
  if (!content) {
    report.add(text.position, "distribution: {}", content.error().message);
    return false;
  }
  auto table = parse_distribution(*content);
  if (!table) {
    report.add(text.position, "distribution: {}: {}", path.string(), table.error().message);
    return false;
  }
  impairment.distribution = Distribution::kCustom;
  impairment.table = std::move(*table);
  return true;
}

}  // namespace zq
