#include "results/redact.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace zq {
namespace {

TEST(Redact, PasswordsInUrls) {
  EXPECT_EQ(redact_urls("http://u:p@h:80/x?y=1 and https://a:b@c"),
            "http://u:[redacted]@h:80/x?y=1 and https://a:[redacted]@c");
  EXPECT_EQ(redact_urls("http://u:p@ss@h/"), "http://u:[redacted]@h/");
  for (const char* plain : {"http://h:80/x", "http://u@h/", "http://h/a:b@c", "a:b@c", "://", ""}) {
    EXPECT_EQ(redact_urls(plain), plain);
  }
}

TEST(Redact, ValuesOfSecretKeys) {
  const std::vector<std::pair<const char*, const char*>> cases{
      {"password = \"x y\"\n", "password = \"[redacted]\"\n"},
      {"db_password='x'", "db_password='[redacted]'"},
      {"Auth-Token = \"a\\\"b\" # c", "Auth-Token = \"[redacted]\" # c"},
      {"secret = \"\"\"a\nb\"\"\"\nx = 1", "secret = \"\"\"[redacted]\"\"\"\nx = 1"},
      {"token = 123\n", "token = \"[redacted]\"\n"},
      {"credentials = \"file:/etc/x\"\n", "credentials = \"file:/etc/x\"\n"},
      {"credentials='env:X'\n", "credentials='env:X'\n"},
      {"credentials = \"user:secret\"\n", "credentials = \"[redacted]\"\n"},
      {"password = \"env:X\"\n", "password = \"[redacted]\"\n"},
      {"o = { token = \"a\", n = 1 }", "o = { token = \"[redacted]\", n = 1 }"},
      {"\"api_key\" = \"a\"", "\"api_key\" = \"[redacted]\""},
      {"{\"password\": \"a\", \"n\": 1}", "{\"password\": \"[redacted]\", \"n\": 1}"},
      {"argv = [\"x\", \"--password=abc\", \"y\"]",
       "argv = [\"x\", \"--password=[redacted]\", \"y\"]"},
      {"url = \"http://h/?token=abc&x=1\"", "url = \"http://h/?token=[redacted]&x=1\""},
      {"# password = old", "# password = [redacted]"},
      {"password = \"unclosed\nx = 1", "password = \"[redacted]\"\nx = 1"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(redact_secrets(text), expected);
}

TEST(Redact, EverythingElseStaysAsItIs) {
  for (const char* text : {
           "password_file = \"/etc/x\"",
           "token_env = \"ZQ_TOKEN\"",
           "tokens = 3",
           "title = \"the password is elsewhere\"",
           "always = \"token == 3\"",
           "[secret]\nname = \"x\"",
           "[[phase]]\nname = \"a # b\"\nlasts = '5s'",
           "password",
           "password =",
           "x = \"it's\" # don't",
           "a = \"\\\"password = 1\"",
       }) {
    if (std::string_view(text).find("password = 1") != std::string_view::npos) {
      EXPECT_EQ(redact_secrets(text), "a = \"\\\"password = [redacted]\"");
    } else {
      EXPECT_EQ(redact_secrets(text), text);
    }
  }
}

}  // namespace
}  // namespace zq
