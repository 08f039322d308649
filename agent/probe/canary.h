// The canary app: an HTTP server that says who and where it is. Its answers are the ground truth
// for "this app runs there", whatever a scheduler claims.
#pragma once

#include <cstdint>
#include <string>

namespace zq {

struct CanaryOptions {
  std::string app;                  // empty: environment ZQ_APP, else "canary"
  std::string instance;             // empty: environment ZQ_INSTANCE, else "HOST-PID"
  std::string bind = "0.0.0.0";     // address to listen on, IPv4 or IPv6
  std::uint16_t port_first = 9000;  // the first free port of the range is taken
  std::uint16_t port_last = 9031;
  std::string zone;  // only repeated in the answer; empty: environment ZQ_ZONE, else left out
};

// Serves GET /whoami (JSON: app, instance, host, port, pid, started_wall_ns, answered[, zone]) and
// GET /healthz until SIGTERM or SIGINT, then returns 0 within 100 ms; also as PID 1 of a container.
// Returns 64 for bad options and 70 when no port can be had, after a message on stderr. Takes over
// the process's handling of SIGTERM, SIGINT and SIGPIPE: call it from main, on the only thread.
int run_canary(const CanaryOptions& options);

}  // namespace zq
