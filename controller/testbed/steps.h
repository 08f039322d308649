// Runs a recipe's steps: what is done once its processes are ready.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "agent/base/error.h"
#include "controller/testbed/program.h"

namespace zq::testbed {

// In file order. Errors carry the step, the node and what the command said. Output stays in
// Layout::steps_dir().
Status run_steps(const Recipe& recipe, const TemplateContext& context, const std::stop_token& stop,
                 const std::function<void(const std::string&)>& progress);

}  // namespace zq::testbed
