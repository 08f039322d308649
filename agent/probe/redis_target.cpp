// Writes to Redis under Sentinel, as a client of Sentinel does: asks the node's own sentinel who
// the master is, writes there, and asks again when the connection breaks or a write is refused. No
// WAIT: what Redis acknowledges is what is counted.
#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <optional>
#include <vector>

#include "agent/probe/write.h"

namespace zq {
namespace {

constexpr std::size_t kBatch = 500;  // keys of one command
constexpr Nanos kStopCheck = std::chrono::milliseconds(100);

struct HostAndPort {
  std::string host;
  int port = 0;
  bool operator<(const HostAndPort& other) const {
    return host != other.host ? host < other.host : port < other.port;
  }
};

struct CloseConnection {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Connection = std::unique_ptr<redisContext, CloseConnection>;
using Reply = std::unique_ptr<redisReply, FreeReply>;

std::string text_of(const redisReply* reply) {
  return reply->str == nullptr ? std::string() : std::string(reply->str, reply->len);
}

std::optional<int> port_of(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port < 1 || port > 65535)
    return std::nullopt;
  return port;
}

class RedisTarget : public WriteTarget {
 public:
  RedisTarget(WriteTargetOptions options, HostAndPort sentinel, std::string master)
      : options_(std::move(options)), sentinel_(std::move(sentinel)), master_(std::move(master)) {}

  Status put(const std::string& name, const std::string& value) override {
    deadline_ = mono_now() + options_.timeout;
    if (!server_) {
      ZQ_TRY(const HostAndPort address, ask_for_master(sentinel_));
      ZQ_TRY(server_, connect(address));
    }
    auto reply = call(server_, {"SET", options_.prefix + name, value});
    if (reply && (*reply)->type == REDIS_REPLY_STATUS && text_of(reply->get()) == "OK") return {};
    server_.reset();  // READONLY, NOREPLICAS, a broken connection: the sentinel may know more
    if (!reply) return tl::unexpected<Error>(std::move(reply).error());
    return fail(ErrorCode::kUnavailable, "Redis: {}", text_of(reply->get()));
  }

  Result<std::unordered_map<std::string, std::string>> read(const std::string& start) override {
    deadline_ = mono_now() + options_.timeout;
    ZQ_CHECK(connect_to_agreed_master());
    std::unordered_map<std::string, std::string> found;
    ZQ_TRY(const std::vector<std::string> keys, list(start));
    for (std::size_t from = 0; from < keys.size(); from += kBatch) {
      std::vector<std::string> words{"MGET"};
      const std::size_t until_key = std::min(from + kBatch, keys.size());
      for (std::size_t i = from; i < until_key; ++i) words.push_back(keys[i]);
      ZQ_TRY(const Reply reply, call(server_, words));
      if (reply->type != REDIS_REPLY_ARRAY || reply->elements != until_key - from)
        return fail(ErrorCode::kUnavailable, "Redis: {}", text_of(reply.get()));
      for (std::size_t i = from; i < until_key; ++i) {
        const redisReply* const value = reply->element[i - from];
        if (value->type == REDIS_REPLY_STRING)
          found[keys[i].substr(options_.prefix.size())] = text_of(value);
      }
    }
    // A master that was demoted meanwhile may have told what is no longer true.
    ZQ_CHECK(connect_to_agreed_master());
    return found;
  }

  Status clean(const std::string& start) override {
    deadline_ = mono_now() + options_.timeout;
    ZQ_CHECK(connect_to_agreed_master());
    ZQ_TRY(const std::vector<std::string> keys, list(start));
    for (std::size_t from = 0; from < keys.size(); from += kBatch) {
      std::vector<std::string> words{"DEL"};
      for (std::size_t i = from; i < std::min(from + kBatch, keys.size()); ++i)
        words.push_back(keys[i]);
      ZQ_TRY(const Reply reply, call(server_, words));
      if (reply->type != REDIS_REPLY_INTEGER)
        return fail(ErrorCode::kUnavailable, "Redis: {}", text_of(reply.get()));
    }
    return {};
  }

 private:
  // Until the socket is ready, the operation's time is up or a stop was requested.
  Status wait(const Connection& connection, short events) const {
    while (true) {
      if (options_.stop.stop_requested()) return fail(ErrorCode::kCancelled, "stopped");
      const Nanos left = deadline_ - mono_now();
      if (left <= Nanos(0)) return fail(ErrorCode::kTimeout, "Redis gave no answer in time");
      pollfd socket{.fd = connection->fd, .events = events, .revents = 0};
      const auto slice = std::chrono::ceil<std::chrono::milliseconds>(std::min(left, kStopCheck));
      const int ready = ::poll(&socket, 1, static_cast<int>(slice.count()));
      if (ready > 0) return {};
      if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
    }
  }

  static tl::unexpected<Error> broken(const Connection& connection) {
    return fail(ErrorCode::kUnavailable, "Redis: {}", static_cast<const char*>(connection->errstr));
  }

  Result<Connection> connect(const HostAndPort& address) const {
    Connection connection(redisConnectNonBlock(address.host.c_str(), address.port));
    if (!connection) return fail(ErrorCode::kUnavailable, "no memory for a connection");
    if (connection->err != 0) return broken(connection);
    ZQ_CHECK(wait(connection, POLLOUT));
    int error = 0;
    socklen_t length = sizeof(error);
    if (::getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error != 0) return fail_errno(error, fmt::format("{}:{}", address.host, address.port));
    return connection;
  }

  Result<Reply> call(const Connection& connection, const std::vector<std::string>& words) const {
    if (!connection) return fail(ErrorCode::kUnavailable, "not connected with Redis");
    std::vector<const char*> texts;
    std::vector<std::size_t> lengths;
    for (const std::string& word : words) {
      texts.push_back(word.data());
      lengths.push_back(word.size());
    }
    if (redisAppendCommandArgv(connection.get(), static_cast<int>(words.size()), texts.data(),
                               lengths.data()) != REDIS_OK)
      return broken(connection);
    for (int written = 0; written == 0;) {
      ZQ_CHECK(wait(connection, POLLOUT));
      if (redisBufferWrite(connection.get(), &written) != REDIS_OK) return broken(connection);
    }
    while (true) {
      void* reply = nullptr;
      if (redisGetReply(connection.get(), &reply) != REDIS_OK) return broken(connection);
      if (reply != nullptr) return Reply(static_cast<redisReply*>(reply));
      ZQ_CHECK(wait(connection, POLLIN));
      if (redisBufferRead(connection.get()) != REDIS_OK) return broken(connection);
    }
  }

  Result<HostAndPort> ask_for_master(const HostAndPort& sentinel) const {
    ZQ_TRY(const Connection connection, connect(sentinel));
    ZQ_TRY(const Reply reply, call(connection, {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", master_}));
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
      return fail(ErrorCode::kUnavailable, "the sentinel at {}:{} knows no master '{}'",
                  sentinel.host, sentinel.port, master_);
    const auto port = port_of(text_of(reply->element[1]));
    if (!port) return fail(ErrorCode::kUnavailable, "the sentinel named a master without a port");
    return HostAndPort{text_of(reply->element[0]), *port};
  }

  // The node's own sentinel and those that it knows.
  Result<std::vector<HostAndPort>> all_sentinels() const {
    ZQ_TRY(const Connection connection, connect(sentinel_));
    ZQ_TRY(const Reply reply, call(connection, {"SENTINEL", "SENTINELS", master_}));
    if (reply->type != REDIS_REPLY_ARRAY)
      return fail(ErrorCode::kUnavailable, "the sentinel: {}", text_of(reply.get()));
    std::vector<HostAndPort> sentinels{sentinel_};
    for (std::size_t i = 0; i < reply->elements; ++i) {
      HostAndPort other;
      const redisReply* const fields = reply->element[i];
      for (std::size_t at = 0; at + 1 < fields->elements; at += 2) {
        const std::string key = text_of(fields->element[at]);
        if (key == "ip") other.host = text_of(fields->element[at + 1]);
        if (key == "port") other.port = port_of(text_of(fields->element[at + 1])).value_or(0);
      }
      if (!other.host.empty() && other.port != 0) sentinels.push_back(std::move(other));
    }
    return sentinels;
  }

  // The master that more than half of all sentinels name, and that says so itself: what one that
  // was cut off holds will be thrown away, and must not count as kept.
  Status connect_to_agreed_master() {
    server_.reset();
    ZQ_TRY(const std::vector<HostAndPort> sentinels, all_sentinels());
    std::map<HostAndPort, std::size_t> votes;
    for (const HostAndPort& sentinel : sentinels) {
      if (const auto master = ask_for_master(sentinel)) ++votes[*master];
    }
    for (const auto& [master, count] : votes) {
      if (2 * count <= sentinels.size()) continue;
      ZQ_TRY(server_, connect(master));
      ZQ_TRY(const Reply role, call(server_, {"ROLE"}));
      if (role->type == REDIS_REPLY_ARRAY && role->elements > 0 &&
          text_of(role->element[0]) == "master")
        return {};
      server_.reset();
      return fail(ErrorCode::kUnavailable, "{}:{} is not master yet", master.host, master.port);
    }
    return fail(ErrorCode::kUnavailable, "the sentinels do not agree on a master");
  }

  // Keys under the prefix whose name begins with `start`. SCAN names all that were there
  // throughout.
  Result<std::vector<std::string>> list(const std::string& start) const {
    std::string pattern;
    for (const char letter : options_.prefix + start) {
      if (std::string_view("*?[]\\").find(letter) != std::string_view::npos) pattern += '\\';
      pattern += letter;
    }
    std::unordered_map<std::string, bool> seen;  // it may name a key twice
    std::vector<std::string> keys;
    std::string cursor = "0";
    do {
      ZQ_TRY(const Reply reply, call(server_, {"SCAN", cursor, "MATCH", pattern + "*", "COUNT",
                                               std::to_string(kBatch)}));
      if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return fail(ErrorCode::kUnavailable, "Redis: {}", text_of(reply.get()));
      cursor = text_of(reply->element[0]);
      const redisReply* const page = reply->element[1];
      for (std::size_t i = 0; i < page->elements; ++i) {
        std::string key = text_of(page->element[i]);
        if (seen.emplace(key, true).second) keys.push_back(std::move(key));
      }
    } while (cursor != "0");
    return keys;
  }

  const WriteTargetOptions options_;
  const HostAndPort sentinel_;
  const std::string master_;
  MonoTime deadline_;  // of the operation at hand
  Connection server_;
};

}  // namespace

Result<std::unique_ptr<WriteTarget>> open_redis_sentinel(WriteTargetOptions options) {
  const auto slash = options.endpoint.find('/');
  const auto colon = options.endpoint.rfind(':', slash);
  const auto port = slash == std::string::npos || colon == std::string::npos
                        ? std::nullopt
                        : port_of(options.endpoint.substr(colon + 1, slash - colon - 1));
  if (!port || colon == 0 || slash + 1 == options.endpoint.size())
    return fail(ErrorCode::kInput,
                "the endpoint of a Redis sentinel must be host:port/master-name, not '{}'",
                options.endpoint);
  std::string host = options.endpoint.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  std::string master = options.endpoint.substr(slash + 1);
  return std::make_unique<RedisTarget>(std::move(options), HostAndPort{std::move(host), *port},
                                       std::move(master));
}

}  // namespace zq
