// What the predicted bounds are made of besides live configuration. Each is either a constant of
// the system's own program (named by where it stands there) or an allowance of ours, stated as one.
#pragma once

namespace zq {

// Allowances, in seconds.
inline constexpr double kSeen = 3;             // two rounds of our probes and an answer of 2 s
inline constexpr double kContainerStart = 10;  // from "assigned" to answering, on a busy machine
inline constexpr double kContainerStop = 5;    // beyond the grace period
inline constexpr double kDaemonStart = 15;     // a killed dockerd that is started again
inline constexpr double kServerStart = 15;     // a killed ZooKeeper or etcd, likewise

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
inline constexpr double kElection = 2;          // allowance for an election without lost messages
inline constexpr double kTick = 2;              // tickTime, where nobody tells: as DC/OS sets it
inline constexpr double kSyncLimit = 5;         // ticks, likewise
inline constexpr double kInitLimit = 10;        // ticks, likewise
}  // namespace zookeeper

// etcd 3.3 to 3.6.
namespace etcd {
inline constexpr double kHeartbeat = 0.1;     // --heartbeat-interval
inline constexpr double kElection = 1;        // --election-timeout
inline constexpr double kPeerStreamDead = 5;  // rafthttp: read and write time-out of a stream
inline constexpr double kPeerDialBase = 1;    // dial time-out is this + the election time-out
}  // namespace etcd

// Redis Sentinel 3 to 7 (sentinel.c).
namespace sentinel {
inline constexpr double kPing = 1;          // SENTINEL_PING_PERIOD, SENTINEL_ASK_PERIOD
inline constexpr double kDesync = 1;        // SENTINEL_MAX_DESYNC
inline constexpr double kMaxElection = 10;  // SENTINEL_ELECTION_TIMEOUT
inline constexpr double kPromote = 1;       // INFO each second while a master is down
inline constexpr double kReconnect = 15;    // SENTINEL_MIN_LINK_RECONNECT_PERIOD
inline constexpr double kConvert = 8;       // 4 x SENTINEL_PUBLISH_PERIOD
inline constexpr double kInfo = 10;         // SENTINEL_INFO_PERIOD
inline constexpr double kSync = 5;          // allowance: a full copy of little data
}  // namespace sentinel

// Pacemaker 2.1 on Corosync 3: allowances, for there is no bound in either but for the membership.
namespace pacemaker {
inline constexpr double kTokenRotation = 0.5;  // the token's longest round on a busy machine
inline constexpr double kElection = 8;         // DC's election, and until all nodes have joined it
inline constexpr double kTransition = 5;       // probes and what goes before a start
}  // namespace pacemaker

// Mesos 1.0 to 1.12.
namespace mesos {
inline constexpr double kAgentPing = 15;           // master: --agent_ping_timeout
inline constexpr double kAgentPings = 5;           // master: --max_agent_ping_timeouts
inline constexpr double kAgentReregister = 600;    // master: --agent_reregister_timeout
inline constexpr double kRegistryFetch = 60;       // master: --registry_fetch_timeout
inline constexpr double kRegistryStore = 20;       // master: --registry_store_timeout
inline constexpr double kZkSession = 10;           // --zk_session_timeout, of masters and agents
inline constexpr double kRegistrationBackoff = 1;  // agent: --registration_backoff_factor
inline constexpr double kRegistrationPause = 60;   // agent: REGISTER_RETRY_INTERVAL_MAX
inline constexpr double kProcessStart = 15;        // allowance: a killed process, started again
}  // namespace mesos

// Marathon 1.4 to 1.11.
namespace marathon {
inline constexpr double kReconciliation = 600;  // --reconciliation_interval
inline constexpr double kScaleApps = 300;       // --scale_apps_interval
inline constexpr double kElectedPrepare = 180;  // --on_elected_prepare_timeout
inline constexpr double kZkSession = 10;        // --zk_session_timeout
inline constexpr double kKillRetry = 30;        // KillConfig: pause between kill attempts
inline constexpr double kPlacement = 30;        // allowance: offer, match, fetch, start
inline constexpr double kExit = 15;             // allowance: JVM's end after the lost session
inline constexpr double kStart = 60;            // allowance: a killed JVM, started again
inline constexpr double kKillGrace = 3;         // executors' default grace period
}  // namespace marathon

// An allowance for a round trip between regions: the page's own worst case, twice.
inline constexpr double kRoundTrip = 1;
// Linux: the shortest pause before TCP sends again (TCP_RTO_MIN); each pause doubles the one
// before.
inline constexpr double kTcpRtoMin = 0.2;
// Linux: the longest pause between TCP retransmissions (TCP_RTO_MAX) where no sysctl says less.
inline constexpr double kTcpRtoMax = 120;

}  // namespace zq
