// Takes credentials out of texts before they are stored.
#pragma once

#include <string>
#include <string_view>

namespace zq {

// "scheme://user:PASSWORD@host" -> "scheme://user:[redacted]@host".
[[nodiscard]] std::string redact_urls(std::string_view text);

// The same, and the values of keys that look like secrets: `password = "x"`, `token=x`,
// `"api_key": "x"`. Keys that only refer to one (`password_file`, `token_env`) keep their value,
// and so does `credentials = "file:/PATH"` or `"env:NAME"`. TOML stays TOML: a replaced value is
// still a string where it was a value.
[[nodiscard]] std::string redact_secrets(std::string_view text);

}  // namespace zq
