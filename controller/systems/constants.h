// What the predicted bounds are made of besides live configuration. Each is either a constant of
// the system's own program (named by where it stands there) or an allowance of ours, stated as one.
#pragma once

namespace zq {

// Allowances, in seconds.
inline constexpr double kSeen = 3;             // two rounds of our probes and an answer of 2 s
inline constexpr double kContainerStart = 10;  // from "assigned" to answering, on a busy machine
inline constexpr double kContainerStop = 5;    // beyond the grace period
inline constexpr double kDaemonStart = 15;     // a killed dockerd that is started again

// swarmkit, as in Docker 17.06 to 28.
namespace swarmkit {
inline constexpr double kHeartbeatEpsilon = 0.5;  // dispatcher: each period is drawn +- this
inline constexpr double kGraceMultiplier = 3;     // dispatcher: silent periods until "down"
inline constexpr double kGraceMultiplierNew = 6;  // the same after a change of leader
inline constexpr double kDispatcherRpc = 5;       // agent: time-out of a session's start
inline constexpr double kSessionBackoff = 8;      // agent: longest pause between sessions
inline constexpr double kSchedulerDebounce = 1;   // scheduler: longest wait for more changes
inline constexpr double kRaftTick = 1;            // raft: one tick
inline constexpr double kSwarmStart = 20;         // dockerd, daemon/cluster: swarmConnectTimeout
inline constexpr double kDefaultHeartbeat = 5;    // when the cluster's spec says nothing
inline constexpr double kDefaultElectionTick = 10;
inline constexpr double kDefaultRestartDelay = 5;
inline constexpr double kDefaultStopGrace = 10;
}  // namespace swarmkit

// ZooKeeper 3.5 to 3.9.
namespace zookeeper {
inline constexpr double kConnect = 5;           // zookeeper.cnxTimeout
inline constexpr double kLeaderRetry = 1;       // Learner: pause between attempts to connect
inline constexpr double kFinalizeWait = 0.2;    // FastLeaderElection
inline constexpr double kMaxNotification = 60;  // zookeeper.fastleader.maxNotificationInterval
}  // namespace zookeeper

// etcd 3.3 to 3.6.
namespace etcd {
inline constexpr double kHeartbeat = 0.1;     // --heartbeat-interval
inline constexpr double kElection = 1;        // --election-timeout
inline constexpr double kPeerStreamDead = 5;  // rafthttp: read and write time-out of a stream
inline constexpr double kPeerDialBase = 1;    // dial time-out is this + the election time-out
}  // namespace etcd

// Linux: the longest pause between TCP retransmissions (TCP_RTO_MAX) where no sysctl says less.
inline constexpr double kTcpRtoMax = 120;

}  // namespace zq
