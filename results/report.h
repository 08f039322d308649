// What people, and programs, see of a recorded run.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "results/store.h"
#include "results/table.h"

namespace zq {

// Header, why it is not passed, phases, verdict table, fault evidence, path matrix, node dumps,
// events. `width` 0 = the terminal's. kNotFound: no such run.
Result<std::string> render_run(const Store& store, RunId run, bool color, std::size_t width = 0);

// One line a run.
[[nodiscard]] std::string render_runs(std::span<const RunRecord> runs, bool color,
                                      std::size_t width = 0);

// A run without its samples and texts, and the headers of several, as JSON.
Result<std::string> run_json(const Store& store, RunId run);
[[nodiscard]] std::string runs_json(std::span<const RunRecord> runs);

[[nodiscard]] Style style_of(RunVerdict verdict);

}  // namespace zq
