#include "agent/probe/attempt.h"

#include <cerrno>
#include <system_error>
#include <utility>

namespace zq {
namespace {

using zonequake::Observation;

class KnownAttempt : public Attempt {
 public:
  explicit KnownAttempt(ProbeResult result) : result_(std::move(result)) {}
  std::optional<ProbeResult> advance() override { return std::move(result_); }
  ProbeResult time_out() override { return std::move(result_); }

 private:
  ProbeResult result_;
};

}  // namespace

Observation::Outcome outcome_of_errno(int error_number) {
  switch (error_number) {
    case ECONNREFUSED:
    case ENOENT:      // a unix socket that is not there
    case ECONNRESET:  // somebody listened, but went away instead of answering
    case EPIPE:
      return Observation::REFUSED;
    case ETIMEDOUT:
      return Observation::TIMED_OUT;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
      return Observation::UNREACHABLE;
    default:
      return Observation::FAILED;
  }
}

ProbeResult result_of_errno(int error_number) {
  return {.outcome = outcome_of_errno(error_number),
          .error = std::generic_category().message(error_number)};
}

ProbeResult failed_result(std::string why) {
  return {.outcome = Observation::FAILED, .error = std::move(why)};
}

std::unique_ptr<Attempt> start_known(ProbeResult result) {
  return std::make_unique<KnownAttempt>(std::move(result));
}

std::unique_ptr<Attempt> start_attempt(const zonequake::Probe& probe, HttpClient& http) {
  switch (probe.what_case()) {
    case zonequake::Probe::kHttp:
      return start_http(probe.http(), http);
    case zonequake::Probe::kTcp:
      return start_tcp(probe.tcp());
    case zonequake::Probe::kFourLetter:
      return start_four_letter(probe.four_letter());
    case zonequake::Probe::kExec:
      return start_exec(probe.exec());
    case zonequake::Probe::kCanary:
      return start_canary(probe.canary());
    default:
      return start_known(failed_result("this agent does not know the kind of the probe"));
  }
}

}  // namespace zq
