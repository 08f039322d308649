#include "controller/access/access.h"

#include <strings.h>

#include <algorithm>
#include <boost/beast/core/detail/base64.hpp>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "controller/access/http_call.h"

namespace zq {
namespace {

using nlohmann::json;

constexpr std::size_t kLargestFile = std::size_t{1} << 20;
constexpr Nanos kLoginTimeout = std::chrono::seconds(10);
constexpr std::string_view kFile = "file:";
constexpr std::string_view kEnvironment = "env:";

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno(errno, path);
  std::string text(kLargestFile + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return fail(ErrorCode::kInput, "{} cannot be read", path);
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kLargestFile)
    return fail(ErrorCode::kInput, "{} is larger than {} KiB", path, kLargestFile >> 10);
  return text;
}

Result<std::string> read_reference(const std::string& reference) {
  if (reference.starts_with(kFile)) return read_file(reference.substr(kFile.size()));
  const std::string name = reference.substr(kEnvironment.size());
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr)
    return fail(ErrorCode::kInput, "the environment has no {}; export it for this command", name);
  return std::string(value);
}

// Editors end a file with a newline, which no credential has.
std::string without_line_end(std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

std::string to_base64(const std::string& text) {
  namespace base64 = boost::beast::detail::base64;
  std::string encoded(base64::encoded_size(text.size()), '\0');
  encoded.resize(base64::encode(encoded.data(), text.data(), text.size()));
  return encoded;
}

}  // namespace

class AccessReader {
 public:
  AccessReader(const SystemSpec& system, const Login& login) : system_(system), login_(login) {}

  Result<Access> read() {
    const AccessSpec& spec = system_.access;
    access_.insecure_ = !spec.tls_verify;
    if (!spec.ca.empty()) {
      auto pem = read_file(spec.ca);
      if (!pem) return wrong("ca", std::move(pem).error());
      if (pem->find("-----BEGIN CERTIFICATE-----") == std::string::npos)
        return wrong("ca", {ErrorCode::kInput, spec.ca + " holds no certificate as PEM"});
      access_.ca_pem_ = std::move(*pem);
    }
    if (spec.credentials.empty()) return access_;
    auto secret = read_reference(spec.credentials);
    if (!secret) return wrong("credentials", std::move(secret).error());
    if (Status read = read_secret(without_line_end(std::move(*secret))); !read)
      return wrong("credentials", std::move(read).error());
    return access_;
  }

 private:
  tl::unexpected<Error> wrong(const char* what, Error error) const {
    if (error.code != ErrorCode::kUnavailable) error.code = ErrorCode::kInput;
    return tl::unexpected<Error>(std::move(error).with_context(
        fmt::format("{}: {} of system '{}'", system_.position.to_string(), what, system_.name)));
  }

  // Messages say where the secret is, never what is there.
  Status read_secret(const std::string& secret) {
    const AccessSpec& spec = system_.access;
    if (secret.empty()) return fail(ErrorCode::kInput, "{} holds nothing", spec.credentials);
    const bool is_login = secret.starts_with('{') && (spec.auth.empty() || spec.auth == "dcos");
    if (is_login) return log_in(secret);
    if (std::any_of(secret.begin(), secret.end(),
                    [](unsigned char letter) { return letter < ' ' || letter == 0x7f; })) {
      return fail(ErrorCode::kInput,
                  "{} holds more than one line, or control characters; expected USER:PASSWORD, a "
                  "token, or JSON with uid, password and login_url",
                  spec.credentials);
    }
    const bool has_colon = secret.find(':') != std::string::npos;
    if (spec.auth == "basic" || (spec.auth.empty() && has_colon)) {
      if (!has_colon) return fail(ErrorCode::kInput, "{} holds no USER:PASSWORD", spec.credentials);
      access_.authorization_ = "Basic " + to_base64(secret);
    } else if (spec.auth == "bearer") {
      access_.authorization_ = "Bearer " + secret;
    } else {
      access_.authorization_ = "token=" + secret;
    }
    return {};
  }

  Status log_in(const std::string& secret) {
    const std::string& where = system_.access.credentials;
    const json login = json::parse(secret, nullptr, /*allow_exceptions=*/false);
    const auto text = [&](const char* key) {
      const auto found = login.is_object() ? login.find(key) : login.end();
      return found != login.end() && found->is_string() ? found->get<std::string>() : "";
    };
    if (text("uid").empty() || text("password").empty() || text("login_url").empty())
      return fail(ErrorCode::kInput, "{} is not JSON with uid, password and login_url", where);
    zonequake::HttpProbe request;
    access_.attach(request);  // certificates
    request.set_url(text("login_url"));
    request.set_method("POST");
    request.set_body(json{{"uid", text("uid")}, {"password", text("password")}}.dump());
    ZQ_TRY(const ProbeResult answer, login_(request));
    const json body = json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
    const auto token = body.is_object() ? body.find("token") : body.end();
    if (answer.status != 200 || token == body.end() || !token->is_string()) {
      return fail(ErrorCode::kUnavailable,
                  "the login with {} was answered with status {} and {}; expected 200 and a token",
                  where, answer.status, answer.status == 200 ? "no token" : "not let in");
    }
    access_.authorization_ = "token=" + token->get<std::string>();
    return {};
  }

  const SystemSpec& system_;
  const Login& login_;
  Access access_;
};

void Access::attach(zonequake::Probe& probe) const {
  if (probe.has_http()) attach(*probe.mutable_http());
  if (probe.has_stream()) attach(*probe.mutable_stream()->mutable_request());
}

void Access::attach(zonequake::HttpProbe& request) const {
  const auto& headers = request.headers();
  const bool has_one = std::any_of(headers.begin(), headers.end(), [](const auto& header) {
    return strcasecmp(header.first.c_str(), "authorization") == 0;
  });
  if (!authorization_.empty() && !has_one)
    (*request.mutable_headers())["Authorization"] = authorization_;
  if (!ca_pem_.empty()) request.set_ca_pem(ca_pem_);
  if (insecure_) request.set_insecure(true);
}

Result<Access> resolve_access(const SystemSpec& system, const Login& login) {
  return AccessReader(system, login).read();
}

Result<Access> resolve_access(const SystemSpec& system) {
  return resolve_access(system, [](const zonequake::HttpProbe& request) {
    return call_http(request, kLoginTimeout);
  });
}

}  // namespace zq
