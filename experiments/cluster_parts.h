// Parts of a cluster file that stand for themselves.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "experiments/cluster.h"
#include "experiments/toml_reader.h"

namespace zq {

// [[testbed.link]] of the table [testbed], over the cluster's zones and regions.
std::vector<TestbedLink> read_links(TomlTable& testbed, const Cluster& cluster);

// [[hook]]
std::vector<HookSpec> read_hooks(TomlTable& root);

// `unit` and `cgroup` of a [[system]].
void read_process_names(TomlTable& table, SystemSpec& system);

// `credentials`, `auth`, `ca` and `tls_verify` of a [[system]]. Messages never repeat what stands
// where a reference to credentials should.
void read_access(TomlTable& table, AccessSpec& access);

// Reports every "{WORD}" in the text whose WORD is not known, and every '{' without its '}'.
void check_placeholders(const TomlString& text, std::string_view key,
                        const std::vector<std::string>& known, TomlReport& report);

}  // namespace zq
