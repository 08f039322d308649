#include "tests/calibration/scheduler/http_server.h"

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

namespace zq::scheduler {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

namespace {

constexpr std::size_t kMaxBody = std::size_t{8} << 20;

HttpRequest to_request(const http::request<http::string_body>& message) {
  HttpRequest request;
  request.method = message.method_string();
  request.target = message.target();
  request.body = message.body();
  for (const auto& field : message) {
    std::string name(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    request.headers[name] = field.value();
  }
  return request;
}

void fill(http::response<http::string_body>& message, const Response& response) {
  message.result(static_cast<unsigned>(response.status));
  message.set(http::field::content_type, response.type);
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.body() = response.body;
}

void stream(tcp::socket& socket, const HttpReply& reply, unsigned version) {
  http::response<http::empty_body> head(static_cast<http::status>(reply.response.status), version);
  head.set(http::field::content_type, reply.response.type);
  for (const auto& [name, value] : reply.response.headers) head.set(name, value);
  head.chunked(true);
  boost::system::error_code error;
  http::response_serializer<http::empty_body> serializer(head);
  http::write_header(socket, serializer, error);
  if (error) return;
  reply.stream([&](std::string_view bytes) {
    boost::system::error_code broken;
    asio::write(socket, http::make_chunk(asio::const_buffer(bytes.data(), bytes.size())), broken);
    return !broken;
  });
}

void serve(tcp::socket& socket, const HttpServer::Handler& handler) {
  boost::system::error_code error;
  socket.set_option(tcp::no_delay(true), error);
  boost::beast::flat_buffer buffer;
  for (;;) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(kMaxBody);
    http::read(socket, buffer, parser, error);
    if (error) break;
    const auto& message = parser.get();
    const HttpReply reply = handler(to_request(message));
    if (reply.stream) {
      stream(socket, reply, message.version());
      break;
    }
    http::response<http::string_body> answer;
    answer.version(message.version());
    fill(answer, reply.response);
    answer.keep_alive(message.keep_alive());
    answer.prepare_payload();
    http::write(socket, answer, error);
    if (reply.afterwards) reply.afterwards();
    if (error || !answer.keep_alive()) break;
  }
  socket.shutdown(tcp::socket::shutdown_both, error);
}

class Listener : public HttpServer {
 public:
  explicit Listener(Handler handler) : handler_(std::move(handler)) {}
  ~Listener() override {
    // Ends the accept that the thread waits in.
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    std::unique_lock lock(mutex_);
    for (const int connection : connections_) ::shutdown(connection, SHUT_RDWR);
    ended_.wait(lock, [this] { return connections_.empty(); });
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  Status open(const std::string& ip, int port) {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(ip, error);
    if (error) return fail(ErrorCode::kInput, "'{}' is no address", ip);
    const tcp::endpoint endpoint(address, static_cast<std::uint16_t>(port));
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return fail(ErrorCode::kKernel, "listen on {}:{}: {}", ip, port, error.message());
    port_ = acceptor_.local_endpoint(error).port();
    thread_ = std::thread([this] { accept(); });
    return {};
  }

  [[nodiscard]] int port() const override { return port_; }

 private:
  void accept() {
    for (;;) {
      boost::system::error_code error;
      tcp::socket socket(context_);
      acceptor_.accept(socket, error);
      if (error == asio::error::connection_aborted || error == asio::error::no_descriptors)
        continue;
      if (error) return;
      const std::lock_guard lock(mutex_);
      connections_.insert(socket.native_handle());
      std::thread([this, held = std::move(socket)]() mutable {
        serve(held, handler_);
        const std::lock_guard done(mutex_);
        connections_.erase(held.native_handle());
        boost::system::error_code ignored;
        held.close(ignored);
        ended_.notify_all();
      }).detach();
    }
  }

  Handler handler_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::set<int> connections_;
  asio::io_context context_;
  tcp::acceptor acceptor_{context_};
  std::thread thread_;
  int port_ = 0;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const std::string& ip, int port,
                                                       Handler handler) {
  auto listener = std::make_unique<Listener>(std::move(handler));
  ZQ_CHECK(listener->open(ip, port));
  return listener;
}

}  // namespace zq::scheduler
