#include "controller/systems/json.h"

namespace zq {

using nlohmann::json;

json parse_json(const std::string& text) { return json::parse(text, nullptr, false); }

const json* json_at(const json& root, std::initializer_list<std::string_view> path) {
  const json* at = &root;
  for (const std::string_view key : path) {
    if (!at->is_object()) return nullptr;
    const auto found = at->find(std::string(key));
    if (found == at->end()) return nullptr;
    at = &*found;
  }
  return at;
}

std::optional<std::string> json_string(const json& root,
                                       std::initializer_list<std::string_view> path) {
  const json* const value = json_at(root, path);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->get<std::string>();
}

std::optional<double> json_number(const json& root, std::initializer_list<std::string_view> path) {
  const json* const value = json_at(root, path);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->get<double>();
}

std::optional<bool> json_bool(const json& root, std::initializer_list<std::string_view> path) {
  const json* const value = json_at(root, path);
  if (value == nullptr || !value->is_boolean()) return std::nullopt;
  return value->get<bool>();
}

}  // namespace zq
