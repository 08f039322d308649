// Writes to ZooKeeper: one node per value. The client library's own threads call back; every call
// here waits with a deadline.
#include <fmt/format.h>
#include <zookeeper/zookeeper.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "agent/probe/write.h"

namespace zq {
namespace {

// The server may raise it. Short: the client gives a silent server up after two thirds of it, and
// comes back that much sooner after a partition.
constexpr int kSessionMs = 4000;
constexpr std::size_t kInFlight = 128;  // reads and deletes at once

struct Reply {
  int code = ZSYSTEMERROR;
  std::string value{};
  std::vector<std::string> children{};
};

// An answer to come. Shared with the library: a caller that timed out is gone when it comes.
class Pending {
 public:
  void set(Reply reply) {
    const std::lock_guard lock(mutex_);
    reply_ = std::move(reply);
    arrived_.notify_all();
  }
  // Empty = not by then.
  std::optional<Reply> wait(MonoTime deadline, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    arrived_.wait_until(lock, stop, deadline, [this] { return reply_.has_value(); });
    return reply_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::optional<Reply> reply_;
};

// Each call hands the library one heap-allocated reference, which its completion takes back. The
// library calls every completion once, at the latest when the handle is closed.
using PendingRef = std::shared_ptr<Pending>;

void complete(const void* data, Reply reply) {
  const std::unique_ptr<PendingRef> ref(static_cast<PendingRef*>(const_cast<void*>(data)));
  (*ref)->set(std::move(reply));
}
void on_void(int code, const void* data) { complete(data, {.code = code}); }
void on_string(int code, const char*, const void* data) { complete(data, {.code = code}); }
void on_data(int code, const char* value, int length, const Stat*, const void* data) {
  Reply reply{.code = code};
  if (code == ZOK && length > 0) reply.value.assign(value, static_cast<std::size_t>(length));
  complete(data, std::move(reply));
}
void on_children(int code, const String_vector* names, const void* data) {
  Reply reply{.code = code};
  if (code == ZOK) reply.children.assign(names->data, names->data + names->count);
  complete(data, std::move(reply));
}

// What the library says about the session.
struct Session {
  std::mutex mutex;
  std::condition_variable_any changed;
  bool connected = false;
};

void on_session(zhandle_t*, int type, int state, const char*, void* context) {
  if (type != ZOO_SESSION_EVENT) return;
  auto& session = *static_cast<Session*>(context);
  const std::lock_guard lock(session.mutex);
  session.connected = state == ZOO_CONNECTED_STATE;
  session.changed.notify_all();
}

void ignore_log(const char*) {}

tl::unexpected<Error> fail_code(int code) {
  return fail(code == ZNONODE ? ErrorCode::kNotFound : ErrorCode::kUnavailable, "ZooKeeper: {}",
              zerror(code));
}

class ZooKeeperTarget : public WriteTarget {
 public:
  explicit ZooKeeperTarget(WriteTargetOptions options) : options_(std::move(options)) {
    while (options_.prefix.ends_with('/')) options_.prefix.pop_back();
  }

  Status put(const std::string& name, const std::string& value) override {
    const MonoTime deadline = mono_now() + options_.timeout;
    ZQ_CHECK(connect(deadline));
    if (!parents_made_) ZQ_CHECK(make_parents(deadline));
    Status created = create(path_of(name), value, deadline);
    if (!created && created.error().code == ErrorCode::kNotFound) parents_made_ = false;
    return created;
  }

  Result<std::unordered_map<std::string, std::string>> read(const std::string& start) override {
    std::unordered_map<std::string, std::string> found;
    ZQ_TRY(const std::vector<std::string> names, list(start));
    const auto get = [this](const std::string& name, PendingRef* ref) {
      return zoo_aget(handle_.get(), path_of(name).c_str(), 0, on_data, ref);
    };
    ZQ_CHECK(for_all(names, get, [&found](const std::string& name, Reply& reply) {
      if (reply.code == ZOK) found[name] = std::move(reply.value);
    }));
    return found;
  }

  Status clean(const std::string& start) override {
    ZQ_TRY(const std::vector<std::string> names, list(start));
    const auto remove = [this](const std::string& name, PendingRef* ref) {
      return zoo_adelete(handle_.get(), path_of(name).c_str(), -1, on_void, ref);
    };
    ZQ_CHECK(for_all(names, remove, [](const std::string&, const Reply&) {}));
    // The parents too, unless somebody else has something there.
    parents_made_ = false;
    for (std::string path = options_.prefix; !path.empty(); path.resize(path.rfind('/'))) {
      const auto reply = call([&path, this](PendingRef* ref) {
        return zoo_adelete(handle_.get(), path.c_str(), -1, on_void, ref);
      });
      if (!reply || reply->code != ZOK) break;
    }
    return {};
  }

 private:
  struct Closer {
    void operator()(zhandle_t* handle) const { zookeeper_close(handle); }
  };

  [[nodiscard]] std::string path_of(const std::string& name) const {
    return options_.prefix + "/" + name;
  }

  // Waits for a session, a new one if the old one has expired. While there is none, nothing is
  // queued: the library would send it whenever the connection comes back.
  Status connect(MonoTime deadline) {
    if (handle_ && is_unrecoverable(handle_.get()) == ZINVALIDSTATE) handle_.reset();
    if (!handle_) {
      session_.connected = false;  // no handle, no other thread
      zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
      handle_.reset(zookeeper_init2(options_.endpoint.c_str(), on_session, kSessionMs, nullptr,
                                    &session_, 0, ignore_log));
      if (!handle_)
        return fail_errno(errno, fmt::format("no ZooKeeper session with {}", options_.endpoint));
    }
    std::unique_lock lock(session_.mutex);
    if (session_.changed.wait_until(lock, options_.stop, deadline,
                                    [this] { return session_.connected; }))
      return {};
    return fail(ErrorCode::kUnavailable, "no connection with ZooKeeper at {}", options_.endpoint);
  }

  // Starts a call of the library.
  template <class Start>
  PendingRef begin(const Start& start) {
    auto pending = std::make_shared<Pending>();
    auto ref = std::make_unique<PendingRef>(pending);
    const int code = start(ref.get());
    if (code == ZOK)
      (void)ref.release();  // the completion has it
    else
      pending->set({.code = code});
    return pending;
  }

  Result<Reply> end(Pending& pending, MonoTime deadline) {
    std::optional<Reply> reply = pending.wait(deadline, options_.stop);
    if (reply) return std::move(*reply);
    if (options_.stop.stop_requested()) return fail(ErrorCode::kCancelled, "stopped");
    return fail(ErrorCode::kTimeout, "ZooKeeper gave no answer in time");
  }

  template <class Start>
  Result<Reply> call(const Start& start) {
    return end(*begin(start), mono_now() + options_.timeout);
  }

  Status create(const std::string& path, const std::string& value, MonoTime deadline) {
    const PendingRef pending = begin([&](PendingRef* ref) {
      return zoo_acreate(handle_.get(), path.c_str(), value.data(), static_cast<int>(value.size()),
                         &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, on_string, ref);
    });
    ZQ_TRY(const Reply reply, end(*pending, deadline));
    if (reply.code == ZNODEEXISTS) return fail(ErrorCode::kExists, "{} exists already", path);
    if (reply.code != ZOK) return fail_code(reply.code);
    return {};
  }

  Status make_parents(MonoTime deadline) {
    for (std::size_t slash = 0; slash != std::string::npos;) {
      slash = options_.prefix.find('/', slash + 1);
      Status made = create(options_.prefix.substr(0, slash), "", deadline);
      if (!made && made.error().code != ErrorCode::kExists) return made;
    }
    parents_made_ = true;
    return {};
  }

  // Names of the nodes that begin with `start`, as the leader has them.
  Result<std::vector<std::string>> list(const std::string& start) {
    ZQ_CHECK(connect(mono_now() + options_.timeout));
    ZQ_TRY(const Reply synced, call([this](PendingRef* ref) {
             return zoo_async(handle_.get(), options_.prefix.c_str(), on_string, ref);
           }));
    if (synced.code != ZOK) return fail_code(synced.code);
    ZQ_TRY(Reply listed, call([this](PendingRef* ref) {
             return zoo_aget_children(handle_.get(), options_.prefix.c_str(), 0, on_children, ref);
           }));
    if (listed.code == ZNONODE) return std::vector<std::string>();
    if (listed.code != ZOK) return fail_code(listed.code);
    std::erase_if(listed.children,
                  [&start](const std::string& name) { return !name.starts_with(start); });
    return std::move(listed.children);
  }

  // One call per name, many under way; a node that is gone is no error.
  template <class Start, class Done>
  Status for_all(const std::vector<std::string>& names, const Start& start, const Done& done) {
    std::deque<PendingRef> under_way;
    for (std::size_t next = 0, oldest = 0; oldest < names.size(); ++oldest) {
      for (; next < names.size() && under_way.size() < kInFlight; ++next)
        under_way.push_back(begin([&](PendingRef* ref) { return start(names[next], ref); }));
      ZQ_TRY(Reply reply, end(*under_way.front(), mono_now() + options_.timeout));
      under_way.pop_front();
      if (reply.code != ZOK && reply.code != ZNONODE) return fail_code(reply.code);
      done(names[oldest], reply);
    }
    return {};
  }

  WriteTargetOptions options_;
  bool parents_made_ = false;
  Session session_;  // outlives the handle, whose threads use it
  std::unique_ptr<zhandle_t, Closer> handle_;
};

}  // namespace

Result<std::unique_ptr<WriteTarget>> open_zookeeper(WriteTargetOptions options) {
  if (options.endpoint.empty() || options.endpoint.find("://") != std::string::npos)
    return fail(ErrorCode::kInput, "the endpoint of ZooKeeper must be host:port, not '{}'",
                options.endpoint);
  if (options.prefix.find("//") != std::string::npos)
    return fail(ErrorCode::kInput, "'{}' has an empty part, which ZooKeeper refuses",
                options.prefix);
  return std::make_unique<ZooKeeperTarget>(std::move(options));
}

}  // namespace zq
