#include "experiments/experiment.h"

#include <algorithm>

#include "experiments/toml_document.h"

namespace zq {

const Phase* Experiment::find_phase(const std::string& name) const {
  const auto found = std::find_if(phases.begin(), phases.end(),
                                  [&](const Phase& phase) { return phase.name == name; });
  return found == phases.end() ? nullptr : &*found;
}

Result<Experiment> load_experiment(const std::string& path) {
  ZQ_TRY(std::string text, read_text_file(path));
  return parse_experiment(std::move(text), path);
}

}  // namespace zq
