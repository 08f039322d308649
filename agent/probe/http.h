// HTTP requests of one thread, many at a time, over TCP, TLS and unix sockets (libcurl's multi
// interface). Every request has a connection of its own: a connection kept from an earlier one
// would sit out TCP's back-off after a partition and report the target dead long after it is back.
#pragma once

#include <curl/curl.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/time.h"
#include "agent/probe/attempt.h"

namespace zq {

struct HttpRequest {
  std::string url;            // http://... or https://...
  std::string unix_socket{};  // path; empty = TCP
  std::string method = "GET";
  std::string body{};  // sent as application/json unless the headers say otherwise
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string ca_pem{};   // https: trusted instead of the node's own; empty = the node's own
  bool insecure = false;  // https: any certificate will do
  std::vector<std::string> want_headers{};  // for ProbeResult::headers
  // Takes the body of an answer with status 200 piece by piece, which then is not in the result;
  // false ends the transfer. Called from perform().
  std::function<bool(std::string_view)> on_body{};
};

HttpRequest to_request(const zonequake::HttpProbe& probe);

// A request under way. Destroying it gives it up.
class HttpTransfer {
 public:
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  // Set once the request has ended, well or not. Redirects are answers; the body is at most 8 MiB.
  [[nodiscard]] std::optional<ProbeResult>& result() { return result_; }
  // Of the answer that has begun to come; 0 before.
  [[nodiscard]] int status() const;
  [[nodiscard]] std::string content_type() const;
  // Why there is no result yet, for a request that is given up.
  [[nodiscard]] ProbeResult time_out() const;

 private:
  friend class HttpClient;
  HttpTransfer() = default;
  Status prepare(const HttpRequest& request);
  Status set_options(bool with_body);
  void finish(CURLcode code);
  [[nodiscard]] ProbeResult broken(CURLcode code) const;
  [[nodiscard]] std::map<std::string, std::string> wanted_headers() const;
  static std::size_t take_body(char* data, std::size_t size, std::size_t count, void* self);

  struct EasyDeleter {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct ListDeleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  CURLM* multi_ = nullptr;  // where it is enlisted
  std::unique_ptr<curl_slist, ListDeleter> headers_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
  HttpRequest request_;
  std::array<char, CURL_ERROR_SIZE> words_{};  // libcurl's own, more than its codes say
  std::string body_;
  bool too_large_ = false;
  std::optional<ProbeResult> result_;
};

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();  // after all its transfers
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // A request that cannot be made has a FAILED result at once.
  std::unique_ptr<HttpTransfer> start(const HttpRequest& request);
  // Moves all transfers on and sets the results of those that ended.
  void perform();
  // Waits until a transfer or one of `others` may go on, wake() is called, or the time has come.
  void wait(const std::vector<DescriptorWait>& others, MonoTime until);
  // Ends wait(). Any thread.
  void wake();

 private:
  CURLM* multi_;
};

}  // namespace zq
