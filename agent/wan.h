// The permanent environment of a testbed: a process of its own in the namespace that routes between
// the zones, outside agents and runs. It impairs what the configuration says until it is told to
// end; when it cannot any longer, it removes what it made and ends by itself, so that whoever sees
// it alive may rely on it.
#pragma once

#include <string>

#include "agent/base/error.h"

namespace zq {

struct WanOptions {
  std::string config;     // file, see agent/wan/config.h
  std::string state_dir;  // journal; the file "ready" is in it while the environment is in force
};

// Until SIGTERM or SIGINT. In the calling thread's network namespace; call it from main, on the
// only thread. kRefused names what this kernel lacks for what is asked; kUnavailable says why the
// environment could not be kept up. If the process is killed, packets pass untouched as soon as the
// lease has lapsed.
Status run_wan(const WanOptions& options);

}  // namespace zq
