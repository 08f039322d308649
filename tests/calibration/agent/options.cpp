#include "tests/calibration/agent/options.h"

#include <charconv>
#include <optional>
#include <sstream>

namespace zq::calibration {

using nlohmann::json;

namespace {

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "[31000-32000]"
std::optional<json> range(std::string_view text) {
  const auto dash = text.find('-');
  if (!text.starts_with('[') || !text.ends_with(']') || dash == std::string_view::npos) {
    return std::nullopt;
  }
  const auto begin = number(text.substr(1, dash - 1));
  const auto end = number(text.substr(dash + 1, text.size() - dash - 2));
  if (!begin || !end) return std::nullopt;
  return json{{"begin", static_cast<int>(*begin)}, {"end", static_cast<int>(*end)}};
}

template <class Take>
Status each_pair(const std::string& text, const Take& take) {
  std::stringstream all(text);
  for (std::string one; std::getline(all, one, ';');) {
    const auto colon = one.find(':');
    if (colon == std::string::npos || !take(one.substr(0, colon), one.substr(colon + 1))) {
      return fail(ErrorCode::kInput, "'{}' of '{}' is not NAME:VALUE", one, text);
    }
  }
  return {};
}

}  // namespace

Result<json> parse_attributes(const std::string& text) {
  json list = json::array();
  ZQ_CHECK(each_pair(text, [&](const std::string& name, const std::string& value) {
    list.push_back({{"name", name}, {"type", "TEXT"}, {"text", {{"value", value}}}});
    return !value.empty();
  }));
  return list;
}

Result<json> parse_resource_flag(const std::string& text) {
  json list = json::array();
  ZQ_CHECK(each_pair(text, [&](const std::string& name, const std::string& value) {
    json one = {{"name", name}, {"role", "*"}};
    if (const auto amount = number(value)) {
      one["type"] = "SCALAR";
      one["scalar"] = {{"value", *amount}};
    } else if (const auto ports = range(value)) {
      one["type"] = "RANGES";
      one["ranges"] = {{"range", json::array({*ports})}};
    } else {
      return false;
    }
    list.push_back(std::move(one));
    return true;
  }));
  return list;
}

}  // namespace zq::calibration
