// One HTTP request from the controller's own machine, waited for.
#pragma once

#include <stop_token>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/base/time.h"
#include "agent/probe/attempt.h"

namespace zq {

// The answer, whatever its status; redirects are answers. kUnavailable when there is none within
// `timeout`, kCancelled when `stop` was requested. Messages hold neither headers nor body.
Result<ProbeResult> call_http(const zonequake::HttpProbe& request, Nanos timeout,
                              const std::stop_token& stop = {});

}  // namespace zq
