// Ctrl-C and SIGTERM as a stop token.
#pragma once

#include <stop_token>

namespace zq {

// Installs the handlers on first use; the token is the process's own. The first signal asks to
// stop, later ones only say that healing goes on: leaving early would not heal sooner. Child
// processes get default signal handling (handlers do not survive exec, and no signal is blocked).
std::stop_token interrupt_token();

}  // namespace zq
