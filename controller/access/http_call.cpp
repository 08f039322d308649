#include "controller/access/http_call.h"

#include <algorithm>

#include "agent/probe/http.h"
#include "results/redact.h"

namespace zq {
namespace {

constexpr Nanos kLookAtStop = std::chrono::milliseconds(100);

}  // namespace

Result<ProbeResult> call_http(const zonequake::HttpProbe& request, Nanos timeout,
                              const std::stop_token& stop) {
  HttpClient client;
  const std::unique_ptr<HttpTransfer> transfer = client.start(to_request(request));
  const MonoTime until = mono_now() + timeout;
  while (!transfer->result()) {
    if (stop.stop_requested()) return fail(ErrorCode::kCancelled, "stopped by the user");
    if (mono_now() >= until) transfer->result() = transfer->time_out();
    client.wait({}, std::min(until, mono_now() + kLookAtStop));
    client.perform();
  }
  ProbeResult result = std::move(*transfer->result());
  if (result.outcome != zonequake::Observation::ANSWER)
    return fail(ErrorCode::kUnavailable, "{}: {}", redact_urls(request.url()), result.error);
  return result;
}

}  // namespace zq
