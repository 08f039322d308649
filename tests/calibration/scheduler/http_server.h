// A small HTTP/1.1 server: a thread per connection, answers or endless streams.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/base/error.h"
#include "tests/calibration/scheduler/rest.h"

namespace zq::scheduler {

struct HttpRequest {
  std::string method;
  std::string target;
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

// Writes a piece of a stream; false once the client is gone.
using WriteChunk = std::function<bool(std::string_view bytes)>;

struct HttpReply {
  Response response;
  // If set, it is called with the connection after the headers and runs until it returns.
  std::function<void(const WriteChunk&)> stream;
  // Called once the reply has been sent.
  std::function<void()> afterwards;
};

class HttpServer {
 public:
  using Handler = std::function<HttpReply(const HttpRequest&)>;

  // Listens at once. kKernel when the address cannot be had. The destructor ends all connections
  // and waits for their handlers; streams must end when they cannot write, or by themselves.
  static Result<std::unique_ptr<HttpServer>> listen(const std::string& ip, int port,
                                                    Handler handler);
  HttpServer() = default;
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  virtual ~HttpServer() = default;
  [[nodiscard]] virtual int port() const = 0;
};

}  // namespace zq::scheduler
