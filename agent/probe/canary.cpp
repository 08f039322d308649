#include "agent/probe/canary.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "agent/base/time.h"

namespace zq {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr int kExitBadOptions = 64;
constexpr int kExitNoPort = 70;
constexpr auto kIdle = std::chrono::seconds(30);  // then a silent client is let go
constexpr auto kAcceptRetry = std::chrono::milliseconds(50);

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

class Canary {
 public:
  Canary(asio::io_context& io, const CanaryOptions& options)
      : io_(io),
        acceptor_(io),
        whoami_({{"app", options.app},
                 {"instance", options.instance},
                 {"host", host_name()},
                 {"pid", ::getpid()},
                 {"started_wall_ns", wall_now_ns()}}) {
    if (!options.zone.empty()) whoami_["zone"] = options.zone;
  }

  Status listen(const CanaryOptions& options) {
    boost::system::error_code error;
    const asio::ip::address address = asio::ip::make_address(options.bind, error);
    if (error)
      return fail(ErrorCode::kInput, "'{}' is not an IP address to listen on", options.bind);
    if (options.port_first == 0 || options.port_first > options.port_last)
      return fail(ErrorCode::kInput, "{}-{} is not a range of ports", options.port_first,
                  options.port_last);
    for (unsigned port = options.port_first; port <= options.port_last; ++port) {
      error = try_port({address, static_cast<std::uint16_t>(port)});
      if (!error) {
        whoami_["port"] = port;
        asio::co_spawn(io_, accept(), asio::detached);
        return {};
      }
      if (error != asio::error::address_in_use) break;
    }
    return fail(ErrorCode::kUnavailable, "no free port in {}-{} on {}: {}", options.port_first,
                options.port_last, options.bind, error.message());
  }

  [[nodiscard]] const nlohmann::json& whoami() const { return whoami_; }

 private:
  // SO_REUSEADDR (not REUSEPORT) only ignores connections of an earlier life. Two sockets may both
  // be bound before either listens, so that the port is ours only once listen() has succeeded.
  boost::system::error_code try_port(const tcp::endpoint& endpoint) {
    boost::system::error_code error;
    if (acceptor_.is_open()) acceptor_.close(error);
    if (acceptor_.open(endpoint.protocol(), error)) return error;
    if (acceptor_.set_option(tcp::acceptor::reuse_address(true), error)) return error;
    if (acceptor_.bind(endpoint, error)) return error;
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
    return error;
  }

  asio::awaitable<void> accept() {
    while (true) {
      boost::system::error_code error;
      tcp::socket socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (!error) {
        asio::co_spawn(io_, serve(beast::tcp_stream(std::move(socket))), asio::detached);
        continue;
      }
      // Out of descriptors, say: connections that end will free some.
      asio::steady_timer pause(io_, kAcceptRetry);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }

  asio::awaitable<void> serve(beast::tcp_stream stream) {
    beast::flat_buffer buffer;
    boost::system::error_code error;
    bool keep_alive = true;
    while (keep_alive) {
      http::request<http::string_body> request;
      stream.expires_after(kIdle);
      co_await http::async_read(stream, buffer, request,
                                asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      http::response<http::string_body> response = answer(request);
      keep_alive = response.keep_alive();
      co_await http::async_write(stream, response,
                                 asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
    }
    stream.socket().shutdown(tcp::socket::shutdown_send, error);
  }

  http::response<http::string_body> answer(const http::request<http::string_body>& request) {
    http::response<http::string_body> response{http::status::ok, request.version()};
    response.keep_alive(request.keep_alive());
    if (request.method() != http::verb::get) {
      response.result(http::status::method_not_allowed);
    } else if (request.target() == "/whoami") {
      whoami_["answered"] = ++answered_;
      response.set(http::field::content_type, "application/json");
      response.body() = whoami_.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    } else if (request.target() == "/healthz") {
      response.body() = "ok\n";
    } else {
      response.result(http::status::not_found);
    }
    response.prepare_payload();
    return response;
  }

  asio::io_context& io_;
  tcp::acceptor acceptor_;
  nlohmann::json whoami_;
  std::uint64_t answered_ = 0;
};

int serve_until_told(CanaryOptions options) {
  const auto or_else = [](std::string& value, std::string other) {
    if (value.empty()) value = std::move(other);
  };
  or_else(options.app, from_environment("ZQ_APP"));
  or_else(options.app, "canary");
  or_else(options.instance, from_environment("ZQ_INSTANCE"));
  or_else(options.instance, fmt::format("{}-{}", host_name(), ::getpid()));
  or_else(options.zone, from_environment("ZQ_ZONE"));

  asio::io_context io(1);
  // The first process of a container has no default handlers: without these it could not be ended.
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&io](const boost::system::error_code&, int) { io.stop(); });
  ::signal(SIGPIPE, SIG_IGN);

  Canary canary(io, options);
  if (const Status listening = canary.listen(options); !listening) {
    fmt::print(stderr, "canary: {}\n", listening.error().message);
    return listening.error().code == ErrorCode::kInput ? kExitBadOptions : kExitNoPort;
  }
  fmt::print("canary: {}\n",
             canary.whoami().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  std::fflush(stdout);
  io.run();
  return 0;
}

}  // namespace

int run_canary(const CanaryOptions& options) {
  try {
    return serve_until_told(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "canary: {}\n", error.what());
    return kExitNoPort;
  }
}

}  // namespace zq
