// One TCP connection: connect, perhaps send something, read to the end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/base/error.h"
#include "agent/base/unique_fd.h"
#include "agent/probe/attempt.h"

namespace zq {

// `host` is an address or "localhost": looking up names could block, and a name server on the other
// side of a cut would make every probe blind.
class TcpExchange {
 public:
  // Begins to connect. Without `request`, being connected is the answer; with it, everything that
  // comes until the peer closes.
  TcpExchange(const std::string& host, std::uint32_t port, std::optional<std::string> request);

  // An end of the peer before the first byte, or by reset, is REFUSED.
  std::optional<ProbeResult> advance();
  void collect(std::vector<DescriptorWait>& waits) const;
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] ProbeResult time_out() const;

 private:
  std::optional<ProbeResult> finish_connect();
  std::optional<ProbeResult> send_request();
  std::optional<ProbeResult> receive();

  UniqueFd socket_;
  std::optional<std::string> request_;
  std::size_t sent_ = 0;
  std::string received_;
  bool connected_ = false;
  std::optional<ProbeResult> early_;  // known when connecting began
};

}  // namespace zq
