// The adapters by kind; adapter.cpp chooses.
#pragma once

#include <memory>

#include "controller/systems/adapter.h"

namespace zq {

// Endpoint: the Engine API, "unix:{dir}/docker.sock" or "http://{ip}:2375". Nodes with the role
// master are managers, those with the role agent run apps. Options:
//   docker  path of the command-line client, for scheduler.accepts (default /usr/bin/docker);
//           "none" leaves that probe out
Result<std::unique_ptr<Adapter>> make_swarm_adapter(const Cluster& cluster,
                                                    const SystemSpec& system);

// Endpoint: the client port, "{ip}:2181"; srvr and conf must be on 4lw.commands.whitelist. Options:
//   max_notification_ms  zookeeper.fastleader.maxNotificationInterval as the servers were started
//                        with (default 60000): no command of theirs tells it
Result<std::unique_ptr<Adapter>> make_zookeeper_adapter(const Cluster& cluster,
                                                        const SystemSpec& system);

// Endpoint: the client URL, "http://{ip}:2379". Options, as the servers were started with, because
// no request tells them:
//   election_timeout_ms  --election-timeout (default 1000)
//   heartbeat_ms         --heartbeat-interval (default 100)
Result<std::unique_ptr<Adapter>> make_etcd_adapter(const Cluster& cluster,
                                                   const SystemSpec& system);

}  // namespace zq
