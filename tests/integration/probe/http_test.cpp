#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "tests/integration/probe/harness.h"
#include "tests/integration/probe/namespace.h"

namespace zq::probe_test {
namespace {

constexpr Nanos kSlack = 300ms;  // other builders share the machine

zonequake::Probe http_probe(const std::string& url, std::uint32_t timeout_ms = 1000) {
  zonequake::Probe probe = make_probe("http", 200, timeout_ms);
  probe.mutable_http()->set_url(url);
  return probe;
}

zonequake::Probe unix_probe(const std::string& path) {
  zonequake::Probe probe = http_probe("http://docker/info", 400);
  probe.mutable_http()->set_unix_socket(path);
  return probe;
}

TEST(HttpProbe, AnswerHasStatusAndBody) {
  const Server server = Server::tcp(answer_http("hello", 503));
  const Observation result = first_result(http_probe(server.url()));
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_EQ(result.status(), 503);
  EXPECT_EQ(result.body(), "hello");
  EXPECT_GT(result.took_ns(), 0);
  EXPECT_GT(result.at_mono_ns(), 0);
}

TEST(HttpProbe, SendsMethodBodyAndHeaders) {
  const Server server = Server::tcp([](int connection) {
    std::string request = read_head(connection);
    if (request.find("ping-body") == std::string::npos) request += read_head(connection);
    write_all(connection, "HTTP/1.1 200 OK\r\n\r\n" + request);
  });
  zonequake::Probe probe = http_probe(server.url("/path?q=1"));
  probe.mutable_http()->set_method("PUT");
  probe.mutable_http()->set_body("ping-body\r\n\r\n");
  (*probe.mutable_http()->mutable_headers())["X-Thing"] = "value";
  const Observation result = first_result(probe);
  ASSERT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_TRUE(result.body().starts_with("PUT /path?q=1 HTTP/1.1\r\n")) << result.body();
  EXPECT_NE(result.body().find("X-Thing: value\r\n"), std::string::npos);
  EXPECT_NE(result.body().find("Content-Type: application/json\r\n"), std::string::npos);
  EXPECT_NE(result.body().find("ping-body"), std::string::npos);
}

TEST(HttpProbe, PostWithoutBodySaysSo) {
  const Server server = Server::tcp([](int connection) {
    write_all(connection, "HTTP/1.1 200 OK\r\n\r\n" + read_head(connection));
  });
  zonequake::Probe probe = http_probe(server.url());
  probe.mutable_http()->set_method("POST");
  const Observation result = first_result(probe);
  EXPECT_NE(result.body().find("Content-Length: 0\r\n"), std::string::npos) << result.body();
}

TEST(HttpProbe, RedirectIsAnAnswer) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection,
              "HTTP/1.1 307 X\r\nLocation: http://10.66.255.1/\r\nContent-Length: 0\r\n\r\n");
  });
  const Observation result = first_result(http_probe(server.url()));
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_EQ(result.status(), 307);
}

TEST(HttpProbe, HandsOnTheHeadersThatAreWanted) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection,
              "HTTP/1.1 200 X\r\nX-Marathon-Leader: http://10.66.1.1:8080\r\nvia: 1.1 a\r\n"
              "Via: 1.1 b\r\nDate: now\r\nContent-Length: 0\r\n\r\n");
  });
  zonequake::Probe probe = http_probe(server.url());
  for (const char* name : {"x-marathon-leader", "Via", "Location"})
    probe.mutable_http()->add_want_headers(name);
  const Observation result = first_result(probe);
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_EQ(result.headers().size(), 2U);
  EXPECT_EQ(result.headers().at("x-marathon-leader"), "http://10.66.1.1:8080");
  EXPECT_EQ(result.headers().at("Via"), "1.1 a, 1.1 b");
}

TEST(HttpProbe, IgnoresProxiesOfTheEnvironment) {
  const Server server = Server::tcp(answer_http("direct"));
  const std::string proxy = fmt::format("http://127.0.0.1:{}", closed_port());
  ::setenv("http_proxy", proxy.c_str(), 1);
  const Observation result = first_result(http_probe(server.url()));
  ::unsetenv("http_proxy");
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_EQ(result.body(), "direct");
}

TEST(HttpProbe, NobodyListens) {
  const Observation result =
      first_result(http_probe(fmt::format("http://127.0.0.1:{}/", closed_port())));
  EXPECT_EQ(result.outcome(), Observation::REFUSED) << result.error();
  EXPECT_EQ(result.error(), "Connection refused");
}

TEST(HttpProbe, ClosedWithoutAnAnswerIsRefused) {
  const Server server = Server::tcp([](int connection) { read_head(connection); });
  const Observation result = first_result(http_probe(server.url()));
  EXPECT_EQ(result.outcome(), Observation::REFUSED);
  EXPECT_EQ(result.error(), "the connection was closed without an answer");
}

TEST(HttpProbe, ClosedInTheMiddleIsNoAnswer) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
  });
  const Observation result = first_result(http_probe(server.url()));
  EXPECT_EQ(result.outcome(), Observation::REFUSED);
  EXPECT_EQ(result.body(), "");
}

TEST(HttpProbe, AcceptsAndHangs) {
  const Server server = Server::tcp(hang);
  const Observation result = first_result(http_probe(server.url(), 300));
  EXPECT_EQ(result.outcome(), Observation::TIMED_OUT);
  EXPECT_EQ(result.error(), "connected, but no answer came in time");
  EXPECT_GE(Nanos(result.took_ns()), 300ms);
  EXPECT_LT(Nanos(result.took_ns()), 300ms + kSlack);
}

TEST(HttpProbe, ConnectHangs) {
  const FullQueue queue = full_tcp_queue();
  const Observation result =
      first_result(http_probe(fmt::format("http://127.0.0.1:{}/", queue.port), 300));
  EXPECT_EQ(result.outcome(), Observation::TIMED_OUT);
  EXPECT_EQ(result.error(), "no connection in time");
  EXPECT_LT(Nanos(result.took_ns()), 300ms + kSlack);
}

TEST(HttpProbe, SlowDripIsTimedOut) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 60; ++i) {
      write_all(connection, "x");
      std::this_thread::sleep_for(10ms);  // the behaviour under test
    }
  });
  const Observation result = first_result(http_probe(server.url(), 300));
  EXPECT_EQ(result.outcome(), Observation::TIMED_OUT);
  EXPECT_EQ(result.error(), "only a part of the answer came in time");
  EXPECT_EQ(result.body(), "");
  EXPECT_LT(Nanos(result.took_ns()), 300ms + kSlack);
}

TEST(HttpProbe, LargeBodyPassesHugeOneFails) {
  const Server large = Server::tcp(answer_http(std::string(8U << 20, 'a')));
  const Observation fits = first_result(http_probe(large.url(), 5000));
  EXPECT_EQ(fits.outcome(), Observation::ANSWER) << fits.error();
  EXPECT_EQ(fits.body().size(), 8U << 20);

  const Server huge = Server::tcp(answer_http(std::string((8U << 20) + 1, 'a')));
  const Observation result = first_result(http_probe(huge.url(), 5000));
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_EQ(result.error(), "the answer is larger than 8 MiB");
  EXPECT_EQ(result.body(), "");
}

TEST(HttpProbe, NotHttpIsFailed) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection, "SSH-2.0-something\r\n");
  });
  const Observation result = first_result(http_probe(server.url()));
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_NE(result.error(), "");
}

TEST(HttpProbe, BadUrlsAreFailed) {
  for (const char* url :
       {"", "http://", "ftp://127.0.0.1/", "file:///etc/hostname", "http://[::"}) {
    const Observation result = first_result(http_probe(url));
    EXPECT_EQ(result.probe(), "http") << url;
    EXPECT_EQ(result.outcome(), Observation::FAILED) << url;
    EXPECT_NE(result.error(), "") << url;
  }
}

TEST(HttpProbe, UnroutableIsUnreachable) {
  Collector collector;
  const auto engine = engine_without_network(collector);
  engine->set_probes(make_set({http_probe("http://10.66.255.1/")}));
  const auto result = collector.wait("http");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome(), Observation::UNREACHABLE);
  EXPECT_EQ(result->error(), "Network is unreachable");
}

TEST(HttpProbe, AnswerOverUnixSocket) {
  const TempDir dir;
  const std::string path = dir.path() / "s.sock";
  const Server server = Server::unix_socket(path, [](int connection) {
    const std::string request = read_head(connection);
    write_all(connection, "HTTP/1.1 200 OK\r\n\r\n" + request);
  });
  const Observation result = first_result(unix_probe(path));
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_TRUE(result.body().starts_with("GET /info HTTP/1.1\r\nHost: docker\r\n")) << result.body();
}

TEST(HttpProbe, MissingUnixSocketIsRefused) {
  const TempDir dir;
  const Observation result = first_result(unix_probe(dir.path() / "none"));
  EXPECT_EQ(result.outcome(), Observation::REFUSED);
  EXPECT_EQ(result.error(), "No such file or directory");
}

TEST(HttpProbe, DeadUnixSocketIsRefused) {
  const TempDir dir;
  const std::string path = dir.path() / "s.sock";
  { const Server server = Server::unix_socket(path, hang); }
  const Observation result = first_result(unix_probe(path));
  EXPECT_EQ(result.outcome(), Observation::REFUSED);
  EXPECT_EQ(result.error(), "Connection refused");
}

TEST(HttpProbe, UnixSocketThatHangsIsTimedOut) {
  const TempDir dir;
  const std::string path = dir.path() / "s.sock";
  const Server server = Server::unix_socket(path, hang);
  const Observation result = first_result(unix_probe(path));
  EXPECT_EQ(result.outcome(), Observation::TIMED_OUT);
  EXPECT_EQ(result.error(), "connected, but no answer came in time");
}

TEST(HttpProbe, UnixSocketWithFullQueueIsTimedOut) {
  const TempDir dir;
  const std::string path = dir.path() / "s.sock";
  const FullQueue queue = full_unix_queue(path);
  const Observation result = first_result(unix_probe(path));
  EXPECT_EQ(result.outcome(), Observation::TIMED_OUT) << result.error();
}

TEST(HttpProbe, UnixPathsLongerThanTheKernelTakesAreFailed) {
  const TempDir dir;
  std::string path = dir.path() / "";
  path.append(107 - path.size(), 'x');
  const Server server = Server::unix_socket(path, answer_http("just fits"));
  EXPECT_EQ(first_result(unix_probe(path)).body(), "just fits");

  const Observation result = first_result(unix_probe(path + "x"));
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_NE(result.error().find("108 bytes, the kernel takes 107"), std::string::npos)
      << result.error();
}

}  // namespace
}  // namespace zq::probe_test
