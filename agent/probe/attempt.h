// One go of one probe: begun, waited for and given up by the engine's thread, never blocking it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent.pb.h"

namespace zq {

class HttpClient;

struct ProbeResult {
  zonequake::Observation::Outcome outcome = zonequake::Observation::FAILED;
  int status = 0;       // HTTP status, exit code
  std::string body{};   // the answer, whole
  std::string error{};  // why there is no answer; the same words for the same cause
  std::map<std::string, std::string> headers{};  // of the answer, those that were wanted
};

// A descriptor that an attempt waits for.
struct DescriptorWait {
  int fd = -1;
  bool writable = false;  // wait until it can be written; otherwise until it can be read
};

class Attempt {
 public:
  Attempt() = default;
  virtual ~Attempt() = default;  // gives up what is under way; leaves nothing behind
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  // Appends what to wait for, besides the transfers of the HttpClient.
  virtual void collect(std::vector<DescriptorWait>& waits) const { (void)waits; }
  // Goes on as far as possible. Called whenever something may have happened.
  virtual std::optional<ProbeResult> advance() = 0;
  // The time is up and advance() has nothing: what is known now.
  virtual ProbeResult time_out() = 0;
};

std::unique_ptr<Attempt> start_http(const zonequake::HttpProbe& probe, HttpClient& http);
std::unique_ptr<Attempt> start_tcp(const zonequake::TcpProbe& probe);
std::unique_ptr<Attempt> start_four_letter(const zonequake::FourLetterProbe& probe);
std::unique_ptr<Attempt> start_exec(const zonequake::ExecProbe& probe);
std::unique_ptr<Attempt> start_canary(const zonequake::CanaryProbe& probe);
// An attempt whose result is known at once, for probes that cannot be made.
std::unique_ptr<Attempt> start_known(ProbeResult result);

// Any probe except write, stream and bulk. A probe of no kind gives FAILED.
std::unique_ptr<Attempt> start_attempt(const zonequake::Probe& probe, HttpClient& http);

// What an errno of connect, send or recv says about the target.
zonequake::Observation::Outcome outcome_of_errno(int error_number);
// The result for it, in the kernel's own words.
ProbeResult result_of_errno(int error_number);
ProbeResult failed_result(std::string why);

}  // namespace zq
