// Names of what an agent may or may not be able to do on its node; Describe reports each, the
// planner refuses what a node lacks, doctor prints them.
#pragma once

namespace zq::capability {

inline constexpr const char* kGate = "gate";             // drops, loss, duplicates, flapping
inline constexpr const char* kReject = "reject";         // raw sockets and the BPF ring buffer
inline constexpr const char* kIfb = "ifb";               // queues of our own
inline constexpr const char* kHtb = "htb";               // rates
inline constexpr const char* kNetem = "netem";           // delay on either side, corrupt, reorder
inline constexpr const char* kDelayLine = "delay-line";  // delay at the sender, without netem
inline constexpr const char* kFreezer = "freezer";       // pause: a cgroup-2 hierarchy
inline constexpr const char* kSystemd = "systemd";       // units

}  // namespace zq::capability
