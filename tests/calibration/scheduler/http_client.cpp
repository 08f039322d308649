#include "tests/calibration/scheduler/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <mutex>

namespace zq::scheduler {

namespace {

long milliseconds(Nanos duration) {
  return std::max<long>(1, std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

struct Transfer {
  CURL* curl = nullptr;
  HttpAnswer answer;
  const HttpClient::Listener* listener = nullptr;
  bool told = false;
};

bool tell_head(Transfer& transfer) {
  if (transfer.told) return true;
  transfer.told = true;
  long status = 0;
  curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
  transfer.answer.status = static_cast<int>(status);
  return transfer.listener->on_head(transfer.answer);
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view line(data, size * count);
  const auto colon = line.find(':');
  if (line.rfind("HTTP/", 0) == 0) {
    transfer.answer.headers.clear();
  } else if (colon != std::string_view::npos) {
    auto value = line.substr(colon + 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    while (!value.empty() && (value.back() == '\r' || value.back() == '\n')) value.remove_suffix(1);
    transfer.answer.headers[lower(std::string(line.substr(0, colon)))] = value;
  }
  return size * count;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view bytes(data, size * count);
  if (transfer.listener == nullptr) {
    transfer.answer.body.append(bytes);
    return bytes.size();
  }
  return tell_head(transfer) && transfer.listener->on_bytes(bytes) ? bytes.size() : 0;
}

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<Transfer*>(context);
  return transfer.listener != nullptr && transfer.listener->stopped() ? 1 : 0;
}

bool nothing_was_sent(CURLcode code, CURL* curl) {
  double connected = 0;
  curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME, &connected);
  return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
         (code == CURLE_OPERATION_TIMEDOUT && connected == 0);
}

}  // namespace

struct HttpClient::Handle {
  CURL* curl = nullptr;

  Result<HttpAnswer> perform(const HttpCall& call, const Listener* listener) const {
    Transfer transfer{.curl = curl, .answer = {}, .listener = listener, .told = false};
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, call.url.c_str());
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call.method.c_str());
    if (call.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(call.connect_timeout));
    if (listener == nullptr) curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds(call.timeout));
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
    const bool sends = !call.body.empty() || call.method == "POST" || call.method == "PUT";
    if (sends) {
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call.body.c_str());
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(call.body.size()));
    }
    // Without Expect a body goes out with its head.
    curl_slist* lines = curl_slist_append(nullptr, "Expect:");
    for (const auto& [name, value] : call.headers) {
      lines = curl_slist_append(lines, (name + ": " + value).c_str());
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    const CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(lines);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    transfer.answer.status = static_cast<int>(status);
    // An answer without a body has no other end than this.
    if (listener != nullptr && code == CURLE_OK) tell_head(transfer);
    if (code == CURLE_OK) return std::move(transfer.answer);
    const auto kind = nothing_was_sent(code, curl)       ? ErrorCode::kUnavailable
                      : code == CURLE_OPERATION_TIMEDOUT ? ErrorCode::kTimeout
                                                         : ErrorCode::kInternal;
    return fail(kind, "{} {}: {}", call.method, call.url, curl_easy_strerror(code));
  }
};

HttpClient::HttpClient() : handle_(std::make_unique<Handle>()) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  handle_->curl = curl_easy_init();
}

HttpClient::~HttpClient() { curl_easy_cleanup(handle_->curl); }

Result<HttpAnswer> HttpClient::call(const HttpCall& call) {
  return handle_->perform(call, nullptr);
}

Status HttpClient::stream(const HttpCall& call, const Listener& listener) {
  ZQ_TRY(const auto answer, handle_->perform(call, &listener));
  (void)answer;
  return {};
}

}  // namespace zq::scheduler
