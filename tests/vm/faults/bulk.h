// TCP bulk data between two namespaces.
#pragma once

#include <string>

#include "agent/base/time.h"
#include "tests/integration/support/netns_fixture.h"

namespace zq::test {

// Bits per second of payload that the receiver got from `lead` to `lead + span` after its first
// byte; what buffers and bursts let through at the start is over by then.
[[nodiscard]] double tcp_goodput(const TestNetns& from, const std::string& source,
                                 const TestNetns& to, const std::string& address,
                                 std::uint16_t port, Nanos lead, Nanos span);

}  // namespace zq::test
