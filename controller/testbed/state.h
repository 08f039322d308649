// What a testbed writes down before it makes anything, so that another process can use it, and can
// remove it whenever its maker died.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/unique_fd.h"
#include "controller/testbed/layout.h"
#include "controller/testbed/program.h"

namespace zq::testbed {

struct State {
  std::string cluster;
  bool complete = false;              // up() got to its end
  std::vector<std::string> netns;     // every namespace that it makes
  std::optional<Launch> environment;  // when there are links
  std::vector<Launch> agents;
  std::vector<Launch> launches;
};

Status save_state(const State& state);
// kNotFound when there is no testbed of that name. A directory without a state file is one whose
// maker died at the very start: an empty, incomplete state.
Result<State> load_state(const std::string& cluster);

// Held while a testbed is made or removed; the kernel takes it from a holder that dies. kExists
// when somebody else keeps it for more than two seconds.
class StateLock {
 public:
  // Makes the testbed's directory if `create`; kNotFound if it is missing otherwise.
  static Result<StateLock> take(const std::string& cluster, bool create);

 private:
  explicit StateLock(UniqueFd directory) : directory_(std::move(directory)) {}
  UniqueFd directory_;
};

}  // namespace zq::testbed
