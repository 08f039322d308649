// Finding and reading what the commands are given: experiments, clusters, the store.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "experiments/cluster.h"
#include "experiments/deviations.h"
#include "experiments/experiment.h"
#include "results/store.h"

namespace zq {

// A path as it is, or the name of an experiment of the catalogue ("t1-c2-agent-zone-partitioned",
// or a part of it that only one has). kInput names the candidates.
Result<std::string> find_experiment(const std::string& name);
// The folder with catalogue/, clusters/ and recipes/: $ZONEQUAKE_DATA, or where this was built.
std::string data_dir();

// Of data_dir()/deviations.toml; none where there is no such file.
Result<std::vector<Deviation>> known_deviations();

inline constexpr const char* kDbHelp =
    "SQLite file with the results; $ZONEQUAKE_DB sets the default";
// $ZONEQUAKE_DB, or zonequake.db in the current folder.
std::string default_db();

// Opens the store and reports (to stderr) runs whose controller died.
Result<Store> open_store(const std::string& path);
// The same for commands that only look: a mistyped name must not make an empty file (kInput).
Result<Store> open_existing_store(const std::string& path);

// "key=value" arguments.
Result<std::map<std::string, std::string>> parse_pairs(const std::vector<std::string>& arguments,
                                                       const std::string& option);

// A run's number, or "last".
Result<RunId> parse_run_id(const Store& store, const std::string& text);

// Prints "zonequake: MESSAGE" and returns the exit code that fits.
int report_error(const Error& error);

}  // namespace zq
