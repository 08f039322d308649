#include "agent/dataplane/netlink.h"

#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

namespace zq {
namespace {

// Room for any message of ours, of which netem with a table of 16,384 delays is the longest;
// libnl's default is a page.
constexpr std::size_t kMessageBytes = 65536;
constexpr int kDumpAttempts = 20;

struct Exchange {
  const NetlinkSocket::Receiver* receive = nullptr;
  NetlinkAnswer answer;
  bool finished = false;
};

// Extended acknowledgement: attributes behind the error, or behind the returned request if the
// kernel did not cap it.
std::string extended_text(const nlmsgerr* error) {
  const auto* header =
      reinterpret_cast<const nlmsghdr*>(reinterpret_cast<const char*>(error) - NLMSG_HDRLEN);
  if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  std::size_t offset = sizeof(nlmsgerr);
  if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) {
    if (error->msg.nlmsg_len < NLMSG_HDRLEN) return {};
    offset += error->msg.nlmsg_len - NLMSG_HDRLEN;
  }
  const std::size_t total = header->nlmsg_len - NLMSG_HDRLEN;
  if (header->nlmsg_len < NLMSG_HDRLEN || offset >= total) return {};
  auto* first =
      reinterpret_cast<nlattr*>(const_cast<char*>(reinterpret_cast<const char*>(error) + offset));
  nlattr* text = nla_find(first, static_cast<int>(total - offset), NLMSGERR_ATTR_MSG);
  if (text == nullptr) return {};
  const std::string_view raw(static_cast<const char*>(nla_data(text)),
                             static_cast<std::size_t>(nla_len(text)));
  return std::string(raw.substr(0, raw.find('\0')));
}

int on_error(sockaddr_nl* /*from*/, nlmsgerr* error, void* context) {
  auto* exchange = static_cast<Exchange*>(context);
  const int number = -error->error;
  exchange->answer.error = number;
  exchange->answer.text = std::generic_category().message(number);
  if (const std::string kernel = extended_text(error); !kernel.empty()) {
    exchange->answer.text += " (" + kernel + ")";
  }
  exchange->finished = true;
  return NL_STOP;
}

int on_end(nl_msg* /*message*/, void* context) {
  static_cast<Exchange*>(context)->finished = true;
  return NL_STOP;
}

int on_message(nl_msg* message, void* context) {
  const auto* exchange = static_cast<const Exchange*>(context);
  if (exchange->receive != nullptr && *exchange->receive) {
    (*exchange->receive)(nlmsg_hdr(message));
  }
  return NL_OK;
}

struct FreeCallbacks {
  void operator()(nl_cb* callbacks) const { nl_cb_put(callbacks); }
};

// Returns libnl's code; the exchange holds the kernel's answer if one came.
int run_exchange(nl_sock* socket, const NetlinkMessage& message, bool dump, Exchange& exchange) {
  const std::unique_ptr<nl_cb, FreeCallbacks> callbacks(nl_cb_alloc(NL_CB_DEFAULT));
  if (!callbacks) return -NLE_NOMEM;
  nl_cb_err(callbacks.get(), NL_CB_CUSTOM, on_error, &exchange);
  nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, on_message, &exchange);
  nl_cb_set(callbacks.get(), dump ? NL_CB_FINISH : NL_CB_ACK, NL_CB_CUSTOM, on_end, &exchange);
  const int sent = nl_send_auto(socket, message.get());
  if (sent < 0) return sent;
  while (!exchange.finished) {
    const int received = nl_recvmsgs(socket, callbacks.get());
    if (received < 0 && (!exchange.finished || received == -NLE_DUMP_INTR)) return received;
  }
  return 0;
}

NetlinkAnswer local_failure(int libnl_error) {
  return {EIO, fmt::format("netlink: {}", nl_geterror(libnl_error))};
}

}  // namespace

NetlinkMessage::NetlinkMessage(int type, int flags) : message_(nlmsg_alloc_size(kMessageBytes)) {
  if (message_ == nullptr || nlmsg_put(message_.get(), NL_AUTO_PORT, NL_AUTO_SEQ, type, 0,
                                       NLM_F_REQUEST | flags) == nullptr) {
    overflowed_ = true;
  }
}

void NetlinkMessage::append(const void* data, std::size_t size) {
  if (overflowed_) return;
  if (nlmsg_append(message_.get(), const_cast<void*>(data), size, NLMSG_ALIGNTO) < 0) {
    overflowed_ = true;
  }
}

NetlinkMessage& NetlinkMessage::put_bytes(int attribute, const void* data, std::size_t size) {
  if (!overflowed_ && nla_put(message_.get(), attribute, static_cast<int>(size), data) < 0) {
    overflowed_ = true;
  }
  return *this;
}

NetlinkMessage& NetlinkMessage::put_string(int attribute, const std::string& value) {
  return put_bytes(attribute, value.c_str(), value.size() + 1);
}

NetlinkMessage& NetlinkMessage::nest(int attribute,
                                     const std::function<void(NetlinkMessage&)>& fill) {
  if (overflowed_) return *this;
  nlattr* start = nla_nest_start(message_.get(), attribute);
  if (start == nullptr) {
    overflowed_ = true;
    return *this;
  }
  fill(*this);
  nla_nest_end(message_.get(), start);
  return *this;
}

tl::unexpected<Error> NetlinkAnswer::as_error(std::string_view what) const {
  return fail(ErrorCode::kKernel, "{}: {}", what, text);
}

void NetlinkSocket::Free::operator()(nl_sock* socket) const { nl_socket_free(socket); }

Result<NetlinkSocket> NetlinkSocket::open() {
  NetlinkSocket socket(nl_socket_alloc());
  if (!socket.socket_) return fail(ErrorCode::kKernel, "netlink socket: out of memory");
  if (const int rc = nl_connect(socket.socket_.get(), NETLINK_ROUTE); rc < 0) {
    return fail(ErrorCode::kKernel, "netlink socket: {}", nl_geterror(rc));
  }
  // Without these the kernel only says a number. Older kernels lack them: nothing is lost then.
  const int on = 1;
  const int fd = nl_socket_get_fd(socket.socket_.get());
  (void)::setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)::setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  return socket;
}

NetlinkAnswer NetlinkSocket::request(const NetlinkMessage& message, const Receiver& receive) {
  if (!message.complete()) return local_failure(NLE_MSGSIZE);
  Exchange exchange{&receive, {}, false};
  const int rc = run_exchange(socket_.get(), message, false, exchange);
  return rc < 0 ? local_failure(rc) : exchange.answer;
}

NetlinkAnswer NetlinkSocket::dump(const NetlinkMessage& message, const std::function<void()>& begin,
                                  const Receiver& receive) {
  if (!message.complete()) return local_failure(NLE_MSGSIZE);
  nlmsg_hdr(message.get())->nlmsg_flags |= NLM_F_DUMP;
  int rc = 0;
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    nlmsg_hdr(message.get())->nlmsg_seq = NL_AUTO_SEQ;
    begin();
    Exchange exchange{&receive, {}, false};
    rc = run_exchange(socket_.get(), message, true, exchange);
    if (rc >= 0) return exchange.answer;
    if (rc != -NLE_DUMP_INTR) break;
  }
  return local_failure(rc);
}

}  // namespace zq
