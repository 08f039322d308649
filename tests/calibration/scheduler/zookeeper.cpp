#include "tests/calibration/scheduler/zookeeper.h"

// The header declares the calls that wait only for the library with threads.
#define THREADED
#include <zookeeper/zookeeper.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>

namespace zq::scheduler {

namespace {

constexpr std::size_t kMaxNode = std::size_t{1} << 20;  // jute.maxbuffer's default
constexpr std::size_t kMaxPath = 512;

tl::unexpected<Error> fail_code(int code, const std::string& what) {
  return fail(code == ZNONODE ? ErrorCode::kNotFound : ErrorCode::kUnavailable, "ZooKeeper: {}: {}",
              what, zerror(code));
}

class Client : public ZooKeeper {
 public:
  explicit Client(OnSession on_session) : on_session_(std::move(on_session)) {}
  ~Client() override {
    if (handle_ != nullptr) zookeeper_close(handle_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Status open(const std::string& hosts, Nanos session_timeout, Nanos connection_timeout) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(session_timeout).count();
    handle_ =
        zookeeper_init(hosts.c_str(), &Client::on_event, static_cast<int>(ms), nullptr, this, 0);
    if (handle_ == nullptr) return fail_errno(errno, "zookeeper_init " + hosts);
    std::unique_lock lock(mutex_);
    const auto in_time =
        changed_.wait_for(lock, connection_timeout, [this] { return was_connected_; });
    if (!in_time) {
      return fail(ErrorCode::kUnavailable, "no ZooKeeper server of {} answered within {}", hosts,
                  format_duration(connection_timeout));
    }
    return {};
  }

  [[nodiscard]] bool connected() const override { return connected_; }

  Status make_path(const std::string& path) override {
    for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
      const auto part = path.substr(0, slash);
      const int code =
          zoo_create(handle_, part.c_str(), "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, nullptr, 0);
      if (code != ZOK && code != ZNODEEXISTS) return fail_code(code, "create " + part);
      if (slash == std::string::npos) return {};
    }
  }

  Result<std::string> create_ephemeral_sequential(const std::string& prefix,
                                                  const std::string& data) override {
    std::array<char, kMaxPath> path{};
    const int code = zoo_create(handle_, prefix.c_str(), data.data(), static_cast<int>(data.size()),
                                &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL | ZOO_SEQUENCE, path.data(),
                                static_cast<int>(path.size()));
    if (code != ZOK) return fail_code(code, "create " + prefix);
    return std::string(path.data());
  }

  Result<std::vector<std::string>> children(const std::string& path) override {
    String_vector names{};
    const int code = zoo_get_children(handle_, path.c_str(), 0, &names);
    if (code != ZOK) return fail_code(code, "children of " + path);
    std::vector<std::string> found(names.data, names.data + names.count);
    deallocate_String_vector(&names);
    return found;
  }

  Result<std::string> get(const std::string& path) override {
    std::string data(kMaxNode, '\0');
    int length = static_cast<int>(data.size());
    const int code = zoo_get(handle_, path.c_str(), 0, data.data(), &length, nullptr);
    if (code != ZOK) return fail_code(code, "get " + path);
    data.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return data;
  }

  Status sync(const std::string& path) override {
    Waiting waiting;
    const int code = zoo_async(handle_, path.c_str(), &Client::on_synced, &waiting);
    if (code != ZOK) return fail_code(code, "sync " + path);
    std::unique_lock lock(waiting.mutex);
    // The client calls back at the latest when the connection is lost.
    waiting.done.wait(lock, [&] { return waiting.code.has_value(); });
    if (*waiting.code != ZOK) return fail_code(*waiting.code, "sync " + path);
    return {};
  }

  Status write(const std::vector<Write>& writes) override {
    std::vector<zoo_op_t> ops(writes.size());
    std::vector<zoo_op_result_t> results(writes.size());
    for (std::size_t i = 0; i < writes.size(); ++i) {
      const auto& one = writes[i];
      if (!one.data) {
        zoo_delete_op_init(&ops[i], one.path.c_str(), -1);
      } else if (one.exists) {
        zoo_set_op_init(&ops[i], one.path.c_str(), one.data->data(),
                        static_cast<int>(one.data->size()), -1, nullptr);
      } else {
        zoo_create_op_init(&ops[i], one.path.c_str(), one.data->data(),
                           static_cast<int>(one.data->size()), &ZOO_OPEN_ACL_UNSAFE, 0, nullptr, 0);
      }
    }
    const int code = zoo_multi(handle_, static_cast<int>(ops.size()), ops.data(), results.data());
    if (code != ZOK) {
      return fail_code(code,
                       "write of " + (writes.empty() ? std::string("nothing") : writes[0].path));
    }
    return {};
  }

 private:
  struct Waiting {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<int> code;
  };

  static void on_synced(int code, const char*, const void* data) {
    auto& waiting = *const_cast<Waiting*>(static_cast<const Waiting*>(data));
    const std::lock_guard lock(waiting.mutex);
    waiting.code = code;
    waiting.done.notify_all();
  }

  static void on_event(zhandle_t*, int type, int state, const char*, void* context) {
    if (type == ZOO_SESSION_EVENT) static_cast<Client*>(context)->on_state(state);
  }

  void on_state(int state) {
    const bool connected = state == ZOO_CONNECTED_STATE;
    {
      const std::lock_guard lock(mutex_);
      connected_ = connected;
      // A server that is not there yet is no loss.
      if (!connected && !was_connected_) return;
      was_connected_ = true;
      changed_.notify_all();
    }
    if (!on_session_) return;
    on_session_(connected                            ? Session::kConnected
                : state == ZOO_EXPIRED_SESSION_STATE ? Session::kExpired
                                                     : Session::kSuspended);
  }

  OnSession on_session_;
  zhandle_t* handle_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool was_connected_ = false;
  std::atomic<bool> connected_ = false;
};

}  // namespace

Result<ZooKeeperUrl> parse_zookeeper_url(const std::string& text) {
  constexpr std::string_view kScheme = "zk://";
  const auto slash = text.find('/', kScheme.size());
  if (text.rfind(kScheme, 0) != 0 || slash == std::string::npos || slash + 1 == text.size() ||
      slash == kScheme.size()) {
    return fail(ErrorCode::kInput, "'{}' is not of the form zk://HOST:PORT[,HOST:PORT...]/PATH",
                text);
  }
  ZooKeeperUrl url{text.substr(kScheme.size(), slash - kScheme.size()), text.substr(slash)};
  while (url.path.size() > 1 && url.path.back() == '/') url.path.pop_back();
  return url;
}

Result<std::unique_ptr<ZooKeeper>> ZooKeeper::connect(const std::string& hosts,
                                                      Nanos session_timeout,
                                                      Nanos connection_timeout,
                                                      OnSession on_session) {
  // The client tells every attempt to connect; what matters comes as a session's change.
  zoo_set_debug_level(static_cast<ZooLogLevel>(0));
  auto client = std::make_unique<Client>(std::move(on_session));
  ZQ_CHECK(client->open(hosts, session_timeout, connection_timeout));
  return client;
}

Result<Nodes> StateStore::load() {
  for (const char* const directory : {"/apps", "/instances", "/deployments"}) {
    ZQ_CHECK(zookeeper_.make_path(root_ + directory));
  }
  ZQ_CHECK(zookeeper_.sync(root_));
  Nodes nodes;
  const auto read = [&](const std::string& node) -> Status {
    auto data = zookeeper_.get(root_ + "/" + node);
    if (data) {
      nodes[node] = std::move(*data);
    } else if (data.error().code != ErrorCode::kNotFound) {
      return tl::unexpected<Error>(data.error());
    }
    return {};
  };
  for (const char* const node : {"framework-id", "root"}) ZQ_CHECK(read(node));
  for (const std::string directory : {"apps", "instances", "deployments"}) {
    ZQ_TRY(const auto names, zookeeper_.children(root_ + "/" + directory));
    for (const auto& name : names) ZQ_CHECK(read(directory + "/" + name));
  }
  known_.clear();
  for (const auto& [node, data] : nodes) known_.insert(node);
  return nodes;
}

Status StateStore::write(const std::vector<Change>& steps) {
  std::vector<ZooKeeper::Write> writes;
  for (const auto& step : steps) {
    const bool exists = known_.contains(step.node);
    if (step.data || exists) writes.push_back({root_ + "/" + step.node, step.data, exists});
  }
  if (writes.empty()) return {};
  ZQ_CHECK(zookeeper_.write(writes));
  for (const auto& step : steps) {
    if (step.data) {
      known_.insert(step.node);
    } else {
      known_.erase(step.node);
    }
  }
  return {};
}

}  // namespace zq::scheduler
