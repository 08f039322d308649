// HTTP requests of one thread, many at a time, over TCP and unix sockets (libcurl's multi
// interface). Every request has a connection of its own: a connection kept from an earlier one
// would sit out TCP's back-off after a partition and report the target dead long after it is back.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/time.h"
#include "agent/probe/attempt.h"

namespace zq {

struct HttpRequest {
  std::string url;            // http://...
  std::string unix_socket{};  // path; empty = TCP
  std::string method = "GET";
  std::string body{};  // sent as application/json unless the headers say otherwise
  std::vector<std::pair<std::string, std::string>> headers{};
};

// A request under way. Destroying it gives it up.
class HttpTransfer {
 public:
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  // Set once the request has ended, well or not. Redirects are answers; the body is at most 8 MiB.
  [[nodiscard]] std::optional<ProbeResult>& result() { return result_; }
  // Why there is no result yet, for a request that is given up.
  [[nodiscard]] ProbeResult time_out() const;

 private:
  friend class HttpClient;
  HttpTransfer() = default;
  Status prepare(const HttpRequest& request);
  void finish(CURLcode code);
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
