#include "results/redact.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace zq {

namespace {

constexpr std::string_view kRedacted = "[redacted]";

bool is_key_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

// By the key's last word: "password", "db_password", "DB-PASSWORD", but not "password_file".
bool is_secret_key(std::string_view key) {
  static constexpr std::array<std::string_view, 12> kSecret{
      "password", "passwd",     "passphrase", "secret",      "token",       "apikey",
      "api_key",  "access_key", "secret_key", "private_key", "credentials", "credential"};
  std::string normal(key);
  std::transform(normal.begin(), normal.end(), normal.begin(), [](unsigned char c) {
    return c == '-' ? '_' : static_cast<char>(std::tolower(c));
  });
  while (normal.starts_with('_')) normal.erase(0, 1);
  return std::any_of(kSecret.begin(), kSecret.end(), [&](std::string_view secret) {
    return normal == secret || normal.ends_with("_" + std::string(secret));
  });
}

// End of the quoted string that starts at `at`, behind its closing quotes. TOML's triple quotes
// included; an unclosed string ends with the text.
std::size_t string_end(std::string_view text, std::size_t at, std::string_view& quotes) {
  const char quote = text[at];
  const std::string_view triple = quote == '"' ? "\"\"\"" : "'''";
  quotes = text.substr(at).starts_with(triple) ? triple : text.substr(at, 1);
  for (std::size_t i = at + quotes.size(); i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text.substr(i).starts_with(quotes)) {
      return i + quotes.size();
    } else if (quotes.size() == 1 && text[i] == '\n') {
      return i;
    }
  }
  return text.size();
}

std::size_t skip_blanks(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
  return at;
}

// One pass over a text that may be TOML, JSON, or the inside of a string.
std::string redact_values(std::string_view text, bool inside_string);

// Redacts the value at `at` and moves behind it.
void redact_value(std::string_view text, std::size_t& at, bool inside_string, std::string& out) {
  if (text[at] == '"' || text[at] == '\'') {
    std::string_view quotes;
    const std::size_t end = string_end(text, at, quotes);
    out.append(quotes).append(kRedacted).append(quotes);
    at = end;
    return;
  }
  std::size_t end = at;
  while (end < text.size() &&
         std::string_view(" \t\r\n\"',;&]}#").find(text[end]) == std::string_view::npos) {
    ++end;
  }
  if (end == at) return;
  out.append(inside_string ? "" : "\"").append(kRedacted).append(inside_string ? "" : "\"");
  at = end;
}

// What follows the key is a reference as the cluster file's `credentials` has it, `"file:/PATH"` or
// `"env:NAME"`: where the secret is, not what it is.
bool refers(std::string_view text, std::size_t at) {
  const std::size_t sign = skip_blanks(text, at);
  if (sign >= text.size() || text[sign] != '=') return false;
  const std::size_t value = skip_blanks(text, sign + 1);
  if (value >= text.size() || (text[value] != '"' && text[value] != '\'')) return false;
  const std::string_view reference = text.substr(value + 1);
  return reference.starts_with("file:/") || reference.starts_with("env:");
}

// What follows a key: "=" or ":" with blanks around and a value. False if it is something else.
bool redact_after_key(std::string_view text, std::size_t& at, bool inside_string,
                      std::string& out) {
  std::size_t sign = skip_blanks(text, at);
  if (sign >= text.size() || (text[sign] != '=' && text[sign] != ':')) return false;
  const std::size_t value = skip_blanks(text, sign + 1);
  // "==" compares, "://" belongs to a URL, "[" and "{" hold keys and values of their own.
  if (value >= text.size() ||
      std::string_view("=/[{\r\n").find(text[value]) != std::string_view::npos)
    return false;
  out.append(text.substr(at, value - at));
  at = value;
  redact_value(text, at, inside_string, out);
  return true;
}

std::string redact_values(std::string_view text, bool inside_string) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (!inside_string && c == '#') {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      out += redact_values(text.substr(at, end - at), true);
      at = end;
    } else if (!inside_string && (c == '"' || c == '\'')) {
      std::string_view quotes;
      const std::size_t end = string_end(text, at, quotes);
      const std::string_view whole = text.substr(at, end - at);
      std::string_view key = whole.substr(quotes.size());
      if (key.ends_with(quotes)) key.remove_suffix(quotes.size());
      at = end;
      if (is_secret_key(key)) {
        out.append(whole);
        redact_after_key(text, at, inside_string, out);
      } else {
        out += redact_values(whole, true);
      }
    } else if (is_key_character(c)) {
      const std::size_t start = at;
      while (at < text.size() && is_key_character(text[at])) ++at;
      const std::string_view key = text.substr(start, at - start);
      out.append(key);
      if (is_secret_key(key) && !(key == "credentials" && refers(text, at)))
        redact_after_key(text, at, inside_string, out);
    } else {
      out += c;
      ++at;
    }
  }
  return out;
}

}  // namespace

std::string redact_urls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (;;) {
    const std::size_t scheme = text.find("://");
    if (scheme == std::string_view::npos) return out.append(text);
    const std::size_t start = scheme + 3;
    out.append(text.substr(0, start));
    text.remove_prefix(start);
    const std::size_t end = std::min(text.find_first_of(" \t\r\n\"'/?#<>"), text.size());
    const std::size_t at = text.substr(0, end).rfind('@');
    if (at == std::string_view::npos) continue;
    const std::size_t colon = text.substr(0, at).find(':');
    if (colon != std::string_view::npos) {
      out.append(text.substr(0, colon + 1)).append(kRedacted);
      text.remove_prefix(at);
    }
  }
}

std::string redact_secrets(std::string_view text) {
  return redact_values(redact_urls(text), false);
}

}  // namespace zq
