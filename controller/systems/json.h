// Reading JSON that others wrote: nothing here throws, whatever the bytes are.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace zq {

// Discarded (is_discarded()) when the text is not JSON.
[[nodiscard]] nlohmann::json parse_json(const std::string& text);

// The value at a path of object keys, or null.
[[nodiscard]] const nlohmann::json* json_at(const nlohmann::json& root,
                                            std::initializer_list<std::string_view> path);
[[nodiscard]] std::optional<std::string> json_string(const nlohmann::json& root,
                                                     std::initializer_list<std::string_view> path);
[[nodiscard]] std::optional<double> json_number(const nlohmann::json& root,
                                                std::initializer_list<std::string_view> path);
[[nodiscard]] std::optional<bool> json_bool(const nlohmann::json& root,
                                            std::initializer_list<std::string_view> path);

}  // namespace zq
