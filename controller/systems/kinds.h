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

// Endpoint: the masters' URL, "http://{ip}:5050"; a path may follow ("https://{ip}/mesos", through
// DC/OS' Admin Router, whose answers are the leading master's, whichever node is asked: only what
// the leader says of itself can be told then). Nodes with the role master run mesos-master, those
// with the role agent mesos-agent. The apps are those of the cluster's systems of kind marathon.
// Options:
//   agent_endpoint  the agents' URL (default "http://{ip}:5051")
//   accepts   "false" leaves out master.accepts, a write of the registry that changes nothing:
//             POST /api/v1 UPDATE_WEIGHTS with no weights, every 3 s. It makes a leader that has
//             lost the log's quorum exit after --registry_store_timeout, as any other write does
//   poll      "true" asks for GET_TASKS every 2 s instead of holding an event stream (SUBSCRIBE)
//   open zookeeper the system of kind zookeeper that masters are elected through; needed only if
//   the
//             cluster has several. Where it has none:
//   zk_tick_ms, zk_sync_limit, zk_init_limit  its tickTime, syncLimit, initLimit (default 2000, 5,
//             10, as DC/OS sets them)
// Masters are asked less often for lists of more than 500 agents. Where such a list, or all tasks
// in the stream's first event, are larger than an agent hands on (8 MiB, 16 MiB), that view of
// theirs is unknown; what agents tell of their own tasks never is.
Result<std::unique_ptr<Adapter>> make_mesos_adapter(const Cluster& cluster,
                                                    const SystemSpec& system);

// Endpoint: Marathon's URL, "http://{ip}:8080" or with a path, "https://{ip}/service/marathon", on
// every node that runs one (role scheduler). Options:
//   group     the group of the cluster file's apps: "/" (default) makes app "web" Marathon's "/web"
//   accepts   "false" leaves out scheduler.accepts, an update that changes nothing, which Marathon
//             stores all the same: PUT /v2/apps/GROUP/APP of the first app with {"id": its own}
//             every 5 s
//   mesos     the system of kind mesos that it runs apps on; needed only if the cluster has several
//   agent_ping_ms  --agent_ping_timeout of its masters (default 15000), a part of reregister_max:
//             Marathon does not tell it, and its credentials are not for masters
//   elected_prepare_ms  --on_elected_prepare_timeout (default 180000), a part of
//             scheduler_election_max that Marathon does not tell either
//   zookeeper, zk_tick_ms, zk_sync_limit, zk_init_limit  as for kind mesos
Result<std::unique_ptr<Adapter>> make_marathon_adapter(const Cluster& cluster,
                                                       const SystemSpec& system);

// Endpoint: the client port, "{ip}:2181"; srvr and conf must be on 4lw.commands.whitelist. Options:
//   max_notification_ms  zookeeper.fastleader.maxNotificationInterval as the servers were started
//                        with (default 60000): no command of theirs tells it
//   exhibitor            ask the Exhibitor on each server's node for its state, not the server:
//                        "http://{ip}:8181", or "https://{ip}/exhibitor" through DC/OS' Admin
//                        Router
Result<std::unique_ptr<Adapter>> make_zookeeper_adapter(const Cluster& cluster,
                                                        const SystemSpec& system);

// Endpoint: the client URL, "http://{ip}:2379". Options, as the servers were started with, because
// no request tells them:
//   election_timeout_ms  --election-timeout (default 1000)
//   heartbeat_ms         --heartbeat-interval (default 100)
Result<std::unique_ptr<Adapter>> make_etcd_adapter(const Cluster& cluster,
                                                   const SystemSpec& system);

// Endpoint: the sentinel on each node, "{ip}:26379"; its Redis server is asked at the same address
// and port 6379, both through /usr/bin/redis-cli of the node. Options:
//   master  the name that the sentinels know the master by (default "mymaster")
Result<std::unique_ptr<Adapter>> make_redis_sentinel_adapter(const Cluster& cluster,
                                                             const SystemSpec& system);

// Endpoint: "exec:", or "exec:PATH" of a program that runs the command that it is given where the
// node's daemons are (command_endpoint.h). The nodes' names are those of the cluster file. The DC
// is leading master and scheduler, while its partition has a quorum. An app's instances are
// resources of its name, "NAME-1", "NAME-2" ... or a clone's "NAME:0" ... Options:
//   accepts  "false" leaves out scheduler.accepts, a change of the cluster information base that
//            changes nothing: cibadmin --modify of the cluster's property set every 5 s
Result<std::unique_ptr<Adapter>> make_pacemaker_adapter(const Cluster& cluster,
                                                        const SystemSpec& system);

}  // namespace zq
