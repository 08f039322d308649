// Route netlink over libnl: messages, acknowledged requests and dumps, with the kernel's own words
// (extended acknowledgement) in errors. A socket belongs to the network namespace that it was
// opened in, wherever it is used later. Not thread-safe.
#pragma once

#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.h"

struct nl_sock;

namespace zq {

// A request under construction. Running out of space is remembered and reported when it is sent.
class NetlinkMessage {
 public:
  NetlinkMessage(int type, int flags);

  template <class Header>
  NetlinkMessage& header(const Header& value) {
    append(&value, sizeof value);
    return *this;
  }
  template <class Value>
  NetlinkMessage& put(int attribute, const Value& value) {
    put_bytes(attribute, &value, sizeof value);
    return *this;
  }
  NetlinkMessage& put_string(int attribute, const std::string& value);
  NetlinkMessage& put_bytes(int attribute, const void* data, std::size_t size);
  // Puts everything that `fill` adds into a nest.
  NetlinkMessage& nest(int attribute, const std::function<void(NetlinkMessage&)>& fill);

  [[nodiscard]] nl_msg* get() const { return message_.get(); }
  [[nodiscard]] bool complete() const { return !overflowed_; }

 private:
  struct Free {
    void operator()(nl_msg* message) const { nlmsg_free(message); }
  };
  void append(const void* data, std::size_t size);

  std::unique_ptr<nl_msg, Free> message_;
  bool overflowed_ = false;
};

// The kernel's answer to a request: errno (0 = done) and what it says about it.
struct NetlinkAnswer {
  int error = 0;
  std::string text;

  [[nodiscard]] bool ok() const { return error == 0; }
  // kKernel with "WHAT: TEXT".
  [[nodiscard]] tl::unexpected<Error> as_error(std::string_view what) const;
};

class NetlinkSocket {
 public:
  // In the calling thread's network namespace.
  static Result<NetlinkSocket> open();

  // Called for every message of an answer.
  using Receiver = std::function<void(const nlmsghdr*)>;

  // Sends and waits for the acknowledgement.
  NetlinkAnswer request(const NetlinkMessage& message, const Receiver& receive = nullptr);
  // Sends a dump request. A dump that the kernel calls inconsistent is taken again: `begin` is
  // called before every attempt, to forget what came before.
  NetlinkAnswer dump(const NetlinkMessage& message, const std::function<void()>& begin,
                     const Receiver& receive);

 private:
  struct Free {
    void operator()(nl_sock* socket) const;
  };
  explicit NetlinkSocket(nl_sock* socket) : socket_(socket) {}

  std::unique_ptr<nl_sock, Free> socket_;
};

// Attributes of a message by type, for types up to N - 1; absent ones are nullptr. Pointers live as
// long as the message.
template <std::size_t N>
struct Attributes {
  nlattr* by_type[N] = {};

  static Attributes of(const nlmsghdr* header, int header_size) {
    Attributes result;
    nlmsg_parse(const_cast<nlmsghdr*>(header), header_size, result.by_type, static_cast<int>(N) - 1,
                nullptr);
    return result;
  }
  static Attributes nested(nlattr* nest) {
    Attributes result;
    nla_parse(result.by_type, static_cast<int>(N) - 1, static_cast<nlattr*>(nla_data(nest)),
              nla_len(nest), nullptr);
    return result;
  }
  [[nodiscard]] nlattr* operator[](int type) const { return by_type[type]; }
  [[nodiscard]] std::uint32_t u32(int type, std::uint32_t otherwise = 0) const {
    nlattr* attribute = by_type[type];
    if (attribute == nullptr || nla_len(attribute) < 4) return otherwise;
    return nla_get_u32(attribute);
  }
  [[nodiscard]] std::uint8_t u8(int type) const {
    nlattr* attribute = by_type[type];
    return attribute != nullptr && nla_len(attribute) >= 1 ? nla_get_u8(attribute) : std::uint8_t{};
  }
  [[nodiscard]] std::string string(int type) const {
    nlattr* attribute = by_type[type];
    if (attribute == nullptr) return {};
    const std::string_view raw(static_cast<const char*>(nla_data(attribute)),
                               static_cast<std::size_t>(nla_len(attribute)));
    return std::string(raw.substr(0, raw.find('\0')));
  }
  [[nodiscard]] std::vector<std::uint8_t> bytes(int type) const {
    nlattr* attribute = by_type[type];
    if (attribute == nullptr) return {};
    const auto* data = static_cast<const std::uint8_t*>(nla_data(attribute));
    return {data, data + nla_len(attribute)};
  }
};

}  // namespace zq
