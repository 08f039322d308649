// Kernel objects as canonical text: equal objects give equal text, and statistics and times are
// left out.
#pragma once

#include <string>

#include "agent/dataplane/links.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {

// Without what comes and goes by itself or with a sniffer: carrier, promiscuous mode.
[[nodiscard]] std::string canonical_link(const Link& link);
[[nodiscard]] std::string canonical_qdisc(const TcObject& qdisc, const std::string& device);
[[nodiscard]] std::string canonical_class(const TcObject& tc_class, const std::string& device);
[[nodiscard]] std::string canonical_filter(const TcObject& filter, const std::string& device);

}  // namespace zq
