// One function for each check, by subject. Private to controller/check.
#pragma once

#include "controller/check/check.h"

namespace zq::rules {

// Fills seen, wrong and unknown: the status follows from these.
using Rule = void (*)(const CheckInput& input, CheckResult& result);

// rules_zones.cpp
void zone_tags(const CheckInput& input, CheckResult& result);             // P-01
void zone_level_resources(const CheckInput& input, CheckResult& result);  // P-03
void spare_capacity(const CheckInput& input, CheckResult& result);        // P-04

// rules_quorum.cpp
void scheduler_place(const CheckInput& input, CheckResult& result);   // P-02
void quorum_placement(const CheckInput& input, CheckResult& result);  // P-05
void scheduler_quorum(const CheckInput& input, CheckResult& result);  // P-06
void masters_in_zones(const CheckInput& input, CheckResult& result);  // P-07

// rules_network.cpp
void latency(const CheckInput& input, CheckResult& result);          // P-08
void addresses(const CheckInput& input, CheckResult& result);        // P-09
void bandwidth(const CheckInput& input, CheckResult& result);        // P-10
void dedicated_links(const CheckInput& input, CheckResult& result);  // P-12

// rules_timers.cpp
void timers(const CheckInput& input, CheckResult& result);  // P-11

// Of a set of nodes: zone -> names.
[[nodiscard]] std::map<std::string, std::vector<std::string>> by_zone(
    const Cluster& cluster, const std::vector<NodeId>& nodes);
// "a: m1 m2; b: m3".
[[nodiscard]] std::string zones_text(const std::map<std::string, std::vector<std::string>>& zones);
// Nodes with the role master, or coordinator where there are none.
[[nodiscard]] std::vector<NodeId> master_nodes(const Cluster& cluster);
// Puts a line under what was seen and what is wrong.
void blame(CheckResult& result, const std::string& line);
// What a system did not tell, among others.
void copy_missing(const CheckInput& input, CheckResult& result);

}  // namespace zq::rules
