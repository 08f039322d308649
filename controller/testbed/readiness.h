// Waiting for started processes to answer.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "controller/testbed/program.h"

namespace zq::testbed {

struct Started {
  const Launch* launch = nullptr;
  Identity identity;
};

// One attempt of about a second at most; kUnavailable says how it is not ready.
Status probe(const ReadyCheck& check, const Layout& layout);

// Until each one is ready; processes without a check are. kTimeout with the log's last lines when
// one is late, kUnavailable when one has ended, kCancelled when asked to stop.
Status wait_ready(const std::vector<Started>& started, const Layout& layout,
                  const std::stop_token& stop);

}  // namespace zq::testbed
