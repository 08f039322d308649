// Adapters' probes as the agent really makes them, against servers that speak as recorded: paths,
// methods, headers and streams fit together.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/integration/adapters/running.h"

namespace zq::test {
namespace {

using probe_test::Server;

struct Request {
  std::string line;  // "POST /api/v1"
  std::string head, body;
};

Request read_request(int connection) {
  Request request;
  std::string all = probe_test::read_head(connection);
  const auto end = all.find("\r\n\r\n");
  request.head = all.substr(0, end);
  request.line = request.head.substr(0, request.head.find(" HTTP/"));
  if (end == std::string::npos) return request;
  request.body = all.substr(end + 4);
  const auto length_at = request.head.find("Content-Length: ");
  const std::size_t length =
      length_at == std::string::npos ? 0 : std::stoul(request.head.substr(length_at + 16));
  char buffer[1024];
  while (request.body.size() < length) {
    const ssize_t got = ::recv(connection, buffer, sizeof(buffer), 0);
    if (got <= 0) break;
    request.body.append(buffer, static_cast<std::size_t>(got));
  }
  return request;
}

void reply(int connection, int status, const std::string& body, const std::string& headers = "") {
  probe_test::write_all(connection, fmt::format("HTTP/1.1 {} X\r\n{}Content-Length: {}\r\n\r\n{}",
                                                status, headers, body.size(), body));
}

// Chunks that follow each other, and then silence.
void stream(int connection, const std::string& type, const std::vector<std::string>& chunks) {
  std::string text = fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n", type);
  for (const std::string& part : chunks) text += fmt::format("{:x}\r\n{}\r\n", part.size(), part);
  probe_test::write_all(connection, text);
  probe_test::hang(connection);
}

std::string without_line_end(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

void leading_master(int connection) {
  const Request request = read_request(connection);
  if (request.line == "POST /prefix/api/v1") {
    if (request.head.find("Content-Type: application/json") == std::string::npos) {
      return reply(connection, 415, "");
    }
    if (request.body == R"({"type":"GET_MASTER"})") {
      // It was recorded elsewhere: an address that the cluster file does not have is its own.
      return reply(connection, 200, fixture("mesos/master-get-master.json"));
    }
    if (request.body == R"({"type":"SUBSCRIBE"})") {
      const std::string event = without_line_end(fixture("mesos/master-subscribed.json"));
      const std::string record = fmt::format("{}\n{}", event.size(), event);
      return stream(connection, "application/json",
                    {record.substr(0, 100), record.substr(100), "20\n{\"type\":\"HEARTBEAT\"}"});
    }
    if (request.body.find("UPDATE_WEIGHTS") != std::string::npos) return reply(connection, 200, "");
    return reply(connection, 400, "Failed to validate");
  }
  const std::map<std::string, std::string> files{
      {"GET /prefix/slaves", "master-slaves"},
      {"GET /prefix/registrar(1)/registry", "master-registry"},
      {"GET /prefix/flags", "master-flags"},
      {"GET /prefix/version", "master-version"},
      {"GET /prefix/metrics/snapshot?timeout=2secs", "master-metrics"}};
  if (request.line == "GET /prefix/health") return reply(connection, 200, "");
  const auto file = files.find(request.line);
  if (file == files.end()) return reply(connection, 404, "");
  reply(connection, 200, fixture("mesos/" + file->second + ".json"));
}

void following_master(int connection) {
  const Request request = read_request(connection);
  if (request.line == "GET /prefix/health") return reply(connection, 200, "");
  if (request.line.find("registry") != std::string::npos) return reply(connection, 200, "{}");
  reply(connection, 307, "", "Location: //10.77.0.99:5050/api/v1\r\n");
}

void marathon_answers(int connection, const std::string& headers) {
  const Request request = read_request(connection);
  if (request.line == "GET /v2/leader") {
    return reply(connection, 200, R"({"leader":"elsewhere:8080"})", headers);
  }
  if (request.line == "GET /v2/apps/web?embed=app.tasks") {
    return reply(connection, 200,
                 R"({"app":{"id":"/web","instances":1,"tasks":[{"id":"web.instance-1","host":)"
                 R"("10.77.0.31","slaveId":"S1","state":"TASK_RUNNING"}]}})",
                 headers);
  }
  if (request.line == "PUT /v2/apps/web" && request.body == R"({"id":"/web"})") {
    return reply(connection, 200, R"({"version":"1","deploymentId":"2"})", headers);
  }
  if (request.line.starts_with("GET /v2/events?") && headers.empty()) {
    return stream(connection, "text/event-stream",
                  {"event: event_stream_attached\r\ndata: {\"eventType\":\"x\"}\r\n\r\n",
                   "event: instance_changed_event\ndata: {\"instanceId\":\"web.instance-1\","
                   "\"runSpecId\":\"/web\",\"host\":\"10.77.0.31\",\"condition\":"
                   "\"UnreachableInactive\"}\n\n"});
  }
  reply(connection, 302, "", headers);
}

// The endpoint of each node is the port that its name is.
Cluster cluster_on(const std::vector<std::uint16_t>& ports, std::size_t system,
                   const std::string& prefix) {
  Cluster cluster = mesos_cluster({"web"});
  for (std::size_t i = 0; i < ports.size(); ++i) {
    cluster.nodes[i].name = std::to_string(ports[i]);
    cluster.nodes[i].addresses = {IpPrefix::parse(fmt::format("10.98.0.{}", i + 1)).value()};
  }
  cluster.systems[system].endpoint = "http://127.0.0.1:{name}" + prefix;
  return cluster;
}

TEST(WireMesos, MastersAreAskedAsTheyAnswer) {
  const Server leader = Server::tcp(leading_master);
  const Server follower = Server::tcp(following_master);
  Cluster cluster = cluster_on({leader.port(), follower.port()}, 0, "/prefix/");
  cluster.apps[0].name = "pa-31";
  Running running(cluster, cluster.systems[0], {kM1, kM2});
  EXPECT_EQ(value_of(running.samples(kM1, "mesos/health"), "master.up", {}), 1);
  EXPECT_EQ(value_of(running.samples(kM1, "mesos/leader"), "master.leads", {}), 1);
  EXPECT_EQ(value_of(running.samples(kM1, "mesos/agents"), "member.state", {{"node", "a1"}}), 1);
  EXPECT_EQ(
      value_of(running.samples(kM1, "mesos/registry"), "member.unreachable", {{"node", "a1"}}), 0);
  EXPECT_EQ(value_of(running.samples(kM1, "mesos/accepts"), "master.accepts", {}), 1);
  EXPECT_EQ(value_of(running.samples(kM1, "mesos/events", 2), "app.instances",
                     {{"zone", "a"}, {"state", "running"}}),
            1)
      << "a snapshot and a heartbeat";
  EXPECT_EQ(value_of(running.samples(kM2, "mesos/leader"), "master.leads", {}), 0);
  EXPECT_EQ(value_of(running.samples(kM2, "mesos/leader"), "master.serves", {}), 1);
  EXPECT_EQ(value_of(running.samples(kM2, "mesos/accepts"), "master.accepts", {}), 0);
  EXPECT_TRUE(all_unknown(running.samples(kM2, "mesos/agents")));
  EXPECT_TRUE(all_unknown(running.samples(kM2, "mesos/registry")));
  EXPECT_TRUE(all_unknown(running.samples(kM2, "mesos/events")));
}

TEST(WireMarathon, StandbysAreToldFromTheLeader) {
  const Server leader = Server::tcp([](int connection) { marathon_answers(connection, ""); });
  const Server standby = Server::tcp(
      [](int connection) { marathon_answers(connection, "X-Marathon-Via: 1.1 standby:8080\r\n"); });
  const Cluster cluster = cluster_on({leader.port(), standby.port()}, 1, "");
  Running running(cluster, cluster.systems[1], {kM1, kM2});
  const Labels running_in_a{{"zone", "a"}, {"state", "running"}};
  for (const NodeId node : {kM1, kM2}) {
    const bool leads = node == kM1;
    SCOPED_TRACE(leads);
    EXPECT_EQ(value_of(running.samples(node, "marathon/port"), "scheduler.up", {}), 1);
    EXPECT_EQ(value_of(running.samples(node, "marathon/leader"), "scheduler.leads", {}),
              leads ? 1 : 0);
    EXPECT_EQ(value_of(running.samples(node, "marathon/app/web"), "app.instances", running_in_a),
              leads ? std::optional<double>(1) : std::nullopt);
    EXPECT_EQ(value_of(running.samples(node, "marathon/accepts"), "scheduler.accepts", {}), 1);
  }
  EXPECT_EQ(value_of(running.samples(kM1, "marathon/events", 2), "app.instances",
                     {{"zone", "a"}, {"state", "unreachable_inactive"}}),
            1);
  EXPECT_TRUE(all_unknown(running.samples(kM2, "marathon/events")));
}

}  // namespace
}  // namespace zq::test
