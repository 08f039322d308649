// The few netlink requests that building a network takes, over libnl.
#pragma once

#include <memory>
#include <string>

#include "agent/base/error.h"
#include "agent/base/ip.h"

struct nl_sock;

namespace zq::testbed {

// Works on the network namespace that the calling thread was in at connect(); the other functions
// must be called from that namespace too. Device names are at most 15 bytes.
class Netlink {
 public:
  static Result<Netlink> connect();

  Status add_bridge(const std::string& name);
  // `name` appears here, `peer` in the namespace of the descriptor.
  Status add_veth(const std::string& name, const std::string& peer, int peer_netns);
  Status set_up(const std::string& device);
  // Adds the device to the bridge and brings it up.
  Status set_master(const std::string& device, const std::string& bridge);
  Status add_address(const std::string& device, const IpAddress& address, unsigned prefix_length);
  Status add_default_route(const std::string& device, const IpAddress& gateway);

 private:
  struct Close {
    void operator()(nl_sock* socket) const;
  };
  explicit Netlink(std::unique_ptr<nl_sock, Close> socket) : socket_(std::move(socket)) {}

  std::unique_ptr<nl_sock, Close> socket_;
};

}  // namespace zq::testbed
