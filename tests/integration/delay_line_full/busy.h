// Processes that compete for the CPUs.
#pragma once

#include <atomic>
#include <list>

#include "tests/integration/delay_line/forked.h"

namespace zq::test {

class BusyProcesses {
 public:
  explicit BusyProcesses(int count) {
    for (int i = 0; i < count; ++i) {
      children_.emplace_back([] {
        for (std::atomic<unsigned> turns = 0;; ++turns) {
        }
      });
    }
  }

 private:
  std::list<Forked> children_;
};

}  // namespace zq::test
