// What requests to a system must carry so that they are let in. Secrets live here and in what is
// sent, nowhere else: no message, record or report has them.
#pragma once

#include <functional>
#include <string>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/probe/attempt.h"
#include "experiments/cluster.h"

namespace zq {

class Access {
 public:
  // Nothing: requests stay as they are.
  Access() = default;

  // Adds the header Authorization, the trusted certificates and the laxness to an HTTP probe or the
  // request of a stream; other probes stay as they are. A header of the probe's own stays.
  void attach(zonequake::Probe& probe) const;
  void attach(zonequake::HttpProbe& request) const;

 private:
  friend class AccessReader;
  std::string authorization_;  // the header's value
  std::string ca_pem_;
  bool insecure_ = false;
};

// Answers a login request; call_http() except in tests.
using Login = std::function<Result<ProbeResult>(const zonequake::HttpProbe&)>;

// Reads the files and variables that the system's `access` refers to, and logs in at DC/OS where
// they hold a login. The forms, unless `auth` says which:
//   user:password                        -> Basic (RFC 7617)
//   {"uid", "password", "login_url"}     -> POST login_url {"uid","password"}; the token of the
//                                           answer as with the next
//   anything else                        -> a DC/OS ACS token: "token=..."
// kInput with the system's position for what is missing or in no such form; kUnavailable when the
// login fails.
Result<Access> resolve_access(const SystemSpec& system, const Login& login);
Result<Access> resolve_access(const SystemSpec& system);

}  // namespace zq
