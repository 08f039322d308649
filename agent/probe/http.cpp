#include "agent/probe/http.h"

#include <fmt/format.h>
#include <strings.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

namespace zq {
namespace {

using zonequake::Observation;

constexpr std::size_t kMaxBody = std::size_t{8} << 20;
constexpr std::size_t kMaxUnixPath = sizeof(sockaddr_un::sun_path) - 1;

// libcurl wants to be set up once, before threads use it.
void init_curl_once() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw std::runtime_error("libcurl cannot be initialised");
}

ProbeResult closed_result(std::string why) {
  return {.outcome = Observation::REFUSED, .error = std::move(why)};
}

}  // namespace

HttpTransfer::~HttpTransfer() {
  if (multi_ != nullptr) curl_multi_remove_handle(multi_, easy_.get());
}

std::size_t HttpTransfer::take_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  const std::size_t length = size * count;
  if (transfer.request_.on_body && transfer.status() == 200)
    return transfer.request_.on_body({data, length}) ? length : 0;
  if (transfer.body_.size() + length > kMaxBody) {
    transfer.too_large_ = true;
    return 0;  // libcurl ends the transfer with an error
  }
  transfer.body_.append(data, length);
  return length;
}

Status HttpTransfer::prepare(const HttpRequest& request) {
  if (request.unix_socket.size() > kMaxUnixPath)
    return fail(ErrorCode::kInput,
                "the path of the unix socket has {} bytes, the kernel takes {}: {}",
                request.unix_socket.size(), kMaxUnixPath, request.unix_socket);
  request_ = request;
  easy_.reset(curl_easy_init());
  if (!easy_) return fail(ErrorCode::kInternal, "libcurl has no memory for a request");
  const bool with_body = !request_.body.empty() || request_.method == "POST" ||
                         request_.method == "PUT" || request_.method == "PATCH";
  const auto is_content_type = [](const auto& header) {
    return strcasecmp(header.first.c_str(), "content-type") == 0;
  };
  if (with_body && std::ranges::none_of(request_.headers, is_content_type))
    request_.headers.emplace_back("Content-Type", "application/json");
  for (const auto& [name, value] : request_.headers) {
    if (fmt::format("{}{}", name, value).find_first_of("\r\n") != std::string::npos)
      return fail(ErrorCode::kInput, "a header holds a line break");
    // "Name;" is how libcurl is told to send a header without a value.
    const std::string line =
        value.empty() ? fmt::format("{};", name) : fmt::format("{}: {}", name, value);
    curl_slist* longer = curl_slist_append(headers_.get(), line.c_str());
    if (longer == nullptr) return fail(ErrorCode::kInternal, "libcurl has no memory for a header");
    (void)headers_.release();
    headers_.reset(longer);
  }

  return set_options(with_body);
}

Status HttpTransfer::set_options(bool with_body) {
  CURL* easy = easy_.get();
  bool ok = true;
  const auto set = [&](CURLoption option, auto value) {
    ok = curl_easy_setopt(easy, option, value) == CURLE_OK && ok;
  };
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROXY, "");  // whatever the environment says
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_FRESH_CONNECT, 1L);
  set(CURLOPT_FORBID_REUSE, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // do not wait for a name server when giving up
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_URL, request_.url.c_str());
  if (!request_.unix_socket.empty()) set(CURLOPT_UNIX_SOCKET_PATH, request_.unix_socket.c_str());
  if (with_body) {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(CURLOPT_POSTFIELDS, request_.body.c_str());
  } else if (request_.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);  // or libcurl waits for a body that never comes
  }
  if (!request_.method.empty()) set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  set(CURLOPT_HTTPHEADER, headers_.get());
  set(CURLOPT_WRITEFUNCTION, &HttpTransfer::take_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  set(CURLOPT_ERRORBUFFER, words_.data());
  if (!request_.ca_pem.empty()) {
    curl_blob pem{
        .data = request_.ca_pem.data(), .len = request_.ca_pem.size(), .flags = CURL_BLOB_NOCOPY};
    set(CURLOPT_CAINFO_BLOB, &pem);
    set(CURLOPT_CAPATH, nullptr);
  }
  if (request_.insecure) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!ok) return fail(ErrorCode::kInternal, "libcurl does not take the options of the request");
  return {};
}

int HttpTransfer::status() const {
  long status = 0;
  if (easy_) curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

std::string HttpTransfer::content_type() const {
  const char* type = nullptr;
  if (easy_) curl_easy_getinfo(easy_.get(), CURLINFO_CONTENT_TYPE, &type);
  return type == nullptr ? "" : type;
}

std::map<std::string, std::string> HttpTransfer::wanted_headers() const {
  std::map<std::string, std::string> found;
  for (const std::string& name : request_.want_headers) {
    std::size_t amount = 1;
    for (std::size_t i = 0; i < amount; ++i) {
      curl_header* header = nullptr;
      if (curl_easy_header(easy_.get(), name.c_str(), i, CURLH_HEADER, -1, &header) != CURLHE_OK)
        break;
      amount = header->amount;
      std::string& value = found[name];
      value += (i == 0 ? "" : ", ") + std::string(header->value);
    }
  }
  return found;
}

void HttpTransfer::finish(CURLcode code) {
  if (code != CURLE_OK) {
    result_ = broken(code);
    return;
  }
  result_ = {.outcome = Observation::ANSWER,
             .status = status(),
             .body = std::move(body_),
             .headers = wanted_headers()};
}

ProbeResult HttpTransfer::broken(CURLcode code) const {
  long os_error = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &os_error);
  const int error_number = static_cast<int>(os_error);
  if (too_large_)
    return failed_result(fmt::format("the answer is larger than {} MiB", kMaxBody >> 20));
  if (!request_.unix_socket.empty() && code == CURLE_COULDNT_CONNECT &&
      (error_number == 0 || error_number == EAGAIN)) {
    // A full queue makes connect() say EAGAIN. libcurl takes that for a connection under way and
    // then finds it closed, without an errno.
    return {.outcome = Observation::TIMED_OUT,
            .error = "the socket's queue is full: its owner does not accept connections"};
  }
  switch (code) {
    case CURLE_GOT_NOTHING:
      return closed_result("the connection was closed without an answer");
    case CURLE_PARTIAL_FILE:
      return closed_result("the connection was closed in the middle of the answer");
    case CURLE_OPERATION_TIMEDOUT:
      return time_out();
    case CURLE_COULDNT_CONNECT:
      if (error_number != 0) return result_of_errno(error_number);
      break;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      if (error_number != 0) return result_of_errno(error_number);
      return closed_result("the connection broke");
    case CURLE_SSL_CONNECT_ERROR:
      if (error_number != 0) return result_of_errno(error_number);
      [[fallthrough]];
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      // Of other failures libcurl's own words hold times, which are never the same.
      if (words_[0] != '\0') return failed_result(words_.data());
      break;
    default:
      break;
  }
  return failed_result(curl_easy_strerror(code));
}

ProbeResult HttpTransfer::time_out() const {
  curl_off_t connected_us = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_CONNECT_TIME_T, &connected_us);
  const char* why = status() != 0      ? "only a part of the answer came in time"
                    : connected_us > 0 ? "connected, but no answer came in time"
                                       : "no connection in time";
  return {.outcome = Observation::TIMED_OUT, .error = why};
}

HttpClient::HttpClient() {
  init_curl_once();
  multi_ = curl_multi_init();
  if (multi_ == nullptr) throw std::bad_alloc();
}

HttpClient::~HttpClient() { curl_multi_cleanup(multi_); }

std::unique_ptr<HttpTransfer> HttpClient::start(const HttpRequest& request) {
  std::unique_ptr<HttpTransfer> transfer(new HttpTransfer());
  if (const Status prepared = transfer->prepare(request); !prepared) {
    transfer->result_ = failed_result(prepared.error().message);
    return transfer;
  }
  const CURLMcode code = curl_multi_add_handle(multi_, transfer->easy_.get());
  if (code == CURLM_OK)
    transfer->multi_ = multi_;
  else
    transfer->result_ = failed_result(curl_multi_strerror(code));
  return transfer;
}

void HttpClient::perform() {
  int running = 0;
  curl_multi_perform(multi_, &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    void* transfer = nullptr;
    const CURLcode code = message->data.result;  // the message dies with the next call
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    static_cast<HttpTransfer*>(transfer)->finish(code);
  }
}

void HttpClient::wait(const std::vector<DescriptorWait>& others, MonoTime until) {
  std::vector<curl_waitfd> waits;
  waits.reserve(others.size());
  for (const DescriptorWait& other : others)
    waits.push_back(
        {.fd = other.fd,
         .events = static_cast<short>(other.writable ? CURL_WAIT_POLLOUT : CURL_WAIT_POLLIN),
         .revents = 0});
  // Rounded up: waking a little late is a slack, waking a little early is a busy loop.
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - mono_now()).count();
  const int timeout_ms = static_cast<int>(std::clamp<long>(left, 0, 60'000));
  curl_multi_poll(multi_, waits.data(), static_cast<unsigned>(waits.size()), timeout_ms, nullptr);
}

void HttpClient::wake() { curl_multi_wakeup(multi_); }

namespace {

class HttpAttempt : public Attempt {
 public:
  explicit HttpAttempt(std::unique_ptr<HttpTransfer> transfer) : transfer_(std::move(transfer)) {}
  std::optional<ProbeResult> advance() override { return std::move(transfer_->result()); }
  ProbeResult time_out() override { return transfer_->time_out(); }

 private:
  std::unique_ptr<HttpTransfer> transfer_;
};

}  // namespace

HttpRequest to_request(const zonequake::HttpProbe& probe) {
  HttpRequest request{.url = probe.url(),
                      .unix_socket = probe.unix_socket(),
                      .body = probe.body(),
                      .ca_pem = probe.ca_pem(),
                      .insecure = probe.insecure()};
  if (!probe.method().empty()) request.method = probe.method();
  request.headers.assign(probe.headers().begin(), probe.headers().end());
  request.want_headers.assign(probe.want_headers().begin(), probe.want_headers().end());
  return request;
}

std::unique_ptr<Attempt> start_http(const zonequake::HttpProbe& probe, HttpClient& http) {
  return std::make_unique<HttpAttempt>(http.start(to_request(probe)));
}

}  // namespace zq
