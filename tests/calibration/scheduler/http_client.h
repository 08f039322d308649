// HTTP requests, one at a time or as an endless stream. Redirects are never followed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/base/error.h"
#include "agent/base/time.h"

namespace zq::scheduler {

struct HttpCall {
  std::string method = "GET";
  std::string url;
  std::map<std::string, std::string> headers;
  std::string body;
  Nanos connect_timeout = std::chrono::seconds(5);
  Nanos timeout = std::chrono::seconds(10);  // of the whole; not of a stream
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// One connection after the other, kept alive between calls to the same host. For one thread at a
// time.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // kUnavailable: no connection, nothing was sent. kTimeout or kInternal: it may have been.
  Result<HttpAnswer> call(const HttpCall& call);

  struct Listener {
    // Status and headers are there; false ends the stream.
    std::function<bool(const HttpAnswer&)> on_head;
    // False ends the stream.
    std::function<bool(std::string_view)> on_bytes;
    // Asked several times a second; true ends the stream.
    std::function<bool()> stopped;
  };
  // Returns when the stream has ended, with what its end was.
  Status stream(const HttpCall& call, const Listener& listener);

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

}  // namespace zq::scheduler
