#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/integration/probe/harness.h"

namespace zq::probe_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kChunked =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr const char* kServerSent =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string chunk(const std::string& bytes) {
  return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
}
std::string record(const std::string& body) { return fmt::format("{}\n{}", body.size(), body); }

zonequake::Probe stream_probe(const std::string& url, std::uint32_t interval_ms = 200) {
  zonequake::Probe probe = make_probe("stream", interval_ms, 2000);
  probe.mutable_stream()->mutable_request()->set_url(url);
  return probe;
}

std::vector<std::string> bodies(const std::vector<Observation>& observations) {
  std::vector<std::string> result;
  for (const Observation& observation : observations) result.push_back(observation.body());
  return result;
}

TEST(StreamProbe, EveryRecordIsAnEventHoweverItIsCut) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection, kChunked);
    // Equal events count each; one over three chunks; three in one.
    write_all(connection, chunk(record("same")));
    write_all(connection, chunk(record("same")));
    write_all(connection, chunk("1") + chunk("0\n01234") + chunk("56789"));
    write_all(connection, chunk(record("a") + record("b") + record("same")));
    hang(connection);
  });
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({stream_probe(server.url("/api/v1"))}));
  ASSERT_TRUE(collector.wait_count("stream", 6));
  const auto events = collector.all("stream");
  EXPECT_THAT(bodies(events), ElementsAre("same", "same", "0123456789", "a", "b", "same"));
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].outcome(), Observation::ANSWER);
    EXPECT_EQ(events[i].status(), 200);
    EXPECT_GE(events[i].at_mono_ns(), events[i == 0 ? 0 : i - 1].at_mono_ns());
  }
  EXPECT_EQ(server.accepted(), 1U);
}

TEST(StreamProbe, SendsMethodBodyAndHeadersAlsoOverAUnixSocket) {
  const TempDir dir;
  const std::string path = dir.path() / "socket";
  const Server server = Server::unix_socket(path, [](int connection) {
    std::string request = read_head(connection);
    if (request.find("SUBSCRIBE") == std::string::npos) request += read_head(connection);
    write_all(connection, kChunked + chunk(record(request)));
    hang(connection);
  });
  zonequake::Probe probe = stream_probe("http://master/api/v1");
  zonequake::HttpProbe& request = *probe.mutable_stream()->mutable_request();
  request.set_unix_socket(path);
  request.set_method("POST");
  request.set_body("{\"type\":\"SUBSCRIBE\"}\r\n\r\n");
  (*request.mutable_headers())["Accept"] = "application/json";
  const Observation event = first_result(probe);
  ASSERT_EQ(event.outcome(), Observation::ANSWER) << event.error();
  EXPECT_THAT(event.body(), StartsWith("POST /api/v1 HTTP/1.1\r\n"));
  EXPECT_THAT(event.body(), HasSubstr("Accept: application/json\r\n"));
  EXPECT_THAT(event.body(), HasSubstr("SUBSCRIBE"));
}

TEST(StreamProbe, ServerSentEventsAsJson) {
  const Server server = Server::tcp([](int connection) {
    const std::string request = read_head(connection);
    write_all(connection, kServerSent);
    write_all(connection, chunk("event: event_stream_attached\r\ndata: {}\r\n\r\n"));
    write_all(connection, chunk("\r\n") + chunk("data: " + request.substr(0, 3) + "\r\n\r\n"));
    if (request.find("Accept: text/event-stream\r\n") == std::string::npos) return;
    hang(connection);
  });
  zonequake::Probe probe = stream_probe(server.url("/v2/events"));
  probe.mutable_stream()->set_framing(zonequake::StreamProbe::SERVER_SENT);
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({probe}));
  ASSERT_TRUE(collector.wait_count("stream", 2));
  EXPECT_THAT(bodies(collector.all("stream")),
              ElementsAre(R"({"data":"{}","event":"event_stream_attached"})",
                          R"({"data":"GET","event":"message"})"));
}

TEST(StreamProbe, APageForPeopleIsNoServerSentStream) {
  const Server server = Server::tcp(answer_http("<html>Please log in"));
  zonequake::Probe probe = stream_probe(server.url());
  probe.mutable_stream()->set_framing(zonequake::StreamProbe::SERVER_SENT);
  const Observation result = first_result(probe);
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_THAT(result.error(), HasSubstr("not text/event-stream"));
}

TEST(StreamProbe, ItsEndIsToldAndItIsOpenedAgain) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection, kChunked + chunk(record("hello")) + "0\r\n\r\n");
  });
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({stream_probe(server.url(), 300)}));
  ASSERT_TRUE(collector.wait_count("stream", 4));
  const auto all = collector.all("stream");
  EXPECT_EQ(all[0].body(), "hello");
  EXPECT_EQ(all[1].outcome(), Observation::REFUSED);
  EXPECT_EQ(all[1].error(), "the server ended the stream");
  EXPECT_EQ(all[2].body(), "hello");
  EXPECT_EQ(all[3].outcome(), Observation::REFUSED);
  EXPECT_GE(Nanos(all[2].at_mono_ns() - all[1].at_mono_ns()), 300ms);
}

TEST(StreamProbe, AnEndInsideAnEventIsAnEndToo) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection, kChunked + chunk("10\nhalf") + "0\r\n\r\n");
  });
  const Observation result = first_result(stream_probe(server.url()));
  EXPECT_EQ(result.outcome(), Observation::REFUSED);
  EXPECT_EQ(result.error(), "the server ended the stream in the middle of an event");
}

TEST(StreamProbe, ABrokenConnectionIsAnEndToo) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection, kChunked + chunk(record("last")));
  });
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({stream_probe(server.url())}));
  ASSERT_TRUE(collector.wait_count("stream", 2));
  EXPECT_EQ(collector.all("stream")[0].body(), "last");
  EXPECT_EQ(collector.all("stream")[1].outcome(), Observation::REFUSED);
}

TEST(StreamProbe, RedirectsAreAnswersWithTheirLocation) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection,
              "HTTP/1.1 307 Temporary Redirect\r\nlocation: //10.66.1.1:5050\r\nX-Other: 1\r\n"
              "Content-Length: 0\r\n\r\n");
  });
  zonequake::Probe probe = stream_probe(server.url());
  probe.mutable_stream()->mutable_request()->add_want_headers("Location");
  const Observation result = first_result(probe);
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_EQ(result.status(), 307);
  EXPECT_EQ(result.headers().size(), 1U);
  EXPECT_EQ(result.headers().at("Location"), "//10.66.1.1:5050");
}

TEST(StreamProbe, OtherAnswersComeWithTheirBody) {
  const Server server = Server::tcp(answer_http("Master has not finished recovery", 503));
  const Observation result = first_result(stream_probe(server.url()));
  EXPECT_EQ(result.outcome(), Observation::ANSWER);
  EXPECT_EQ(result.status(), 503);
  EXPECT_EQ(result.body(), "Master has not finished recovery");
}

TEST(StreamProbe, NobodyListensAndIsAskedAgainEachTime) {
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({stream_probe(fmt::format("http://127.0.0.1:{}/", closed_port()))}));
  ASSERT_TRUE(collector.wait_count("stream", 3));
  for (const Observation& observation : collector.all("stream"))
    EXPECT_EQ(observation.outcome(), Observation::REFUSED);
  EXPECT_EQ(collector.alive("stream"), 0U);
}

TEST(StreamProbe, NoAnswerInTime) {
  const Server server = Server::tcp(hang);
  zonequake::Probe probe = stream_probe(server.url());
  probe.set_timeout_ms(300);
  const Observation result = first_result(probe);
  EXPECT_EQ(result.outcome(), Observation::TIMED_OUT);
  EXPECT_EQ(result.error(), "connected, but no answer came in time");
  EXPECT_GE(Nanos(result.took_ns()), 300ms);
}

TEST(StreamProbe, SilenceIsTold) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection, kChunked + chunk(record("once")));
    hang(connection);
  });
  zonequake::Probe probe = stream_probe(server.url());
  probe.mutable_stream()->set_silence_ms(700);
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({probe}));
  ASSERT_TRUE(collector.wait_count("stream", 2));
  const auto all = collector.all("stream");
  EXPECT_EQ(all[0].body(), "once");
  EXPECT_EQ(all[1].outcome(), Observation::TIMED_OUT);
  EXPECT_EQ(all[1].error(), "the stream has been silent for 700 ms");
  EXPECT_GE(Nanos(all[1].at_mono_ns() - all[0].at_mono_ns()), 700ms);
}

TEST(StreamProbe, HeartbeatsThatAreNoEventsKeepItAlive) {
  std::atomic<bool> done{false};
  const Server server = Server::tcp([&](int connection) {
    read_head(connection);
    write_all(connection, kServerSent + chunk("data: first\n\n"));
    while (!done) {
      write_all(connection, chunk(":\n"));
      std::this_thread::sleep_for(100ms);
    }
  });
  zonequake::Probe probe = stream_probe(server.url());
  probe.mutable_stream()->set_framing(zonequake::StreamProbe::SERVER_SENT);
  probe.mutable_stream()->set_silence_ms(1000);
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({probe}));
  const MonoTime deadline = mono_now() + 20s;
  while (collector.alive("stream") < 4 && mono_now() < deadline) std::this_thread::sleep_for(10ms);
  EXPECT_GE(collector.alive("stream"), 4U);  // at 0, 0.5, 1.0, 1.5 s: longer than silence
  EXPECT_EQ(collector.all("stream").size(), 1U);
  EXPECT_EQ(server.accepted(), 1U);
  engine.stop();
  done = true;
}

TEST(StreamProbe, AnEventBeyondTheLimitEndsIt) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection, kChunked + chunk("16777217\n" + std::string(1000, 'x')));
    hang(connection);
  });
  const Observation result = first_result(stream_probe(server.url()));
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_EQ(result.error(), "an event of 16777217 bytes or more: at most 16 MiB can be taken");
}

TEST(StreamProbe, WhatCannotBeTakenBeginsTheStreamAnewAndSaysSo) {
  const Server server = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection, kChunked);
    for (int i = 0; i < 5; ++i) write_all(connection, chunk(record(std::to_string(i))));
    hang(connection);
  });
  std::mutex mutex;
  std::vector<Observation> taken;
  int refusals = 2;  // the third event, and the first try to tell of it
  ProbeEngine engine([&](Observation observation, ProbeNews news) {
    if (news != ProbeNews::kEvent) return true;
    const std::lock_guard lock(mutex);
    if (taken.size() == 2 && refusals-- > 0) return false;
    taken.push_back(std::move(observation));
    return true;
  });
  engine.set_probes(make_set({stream_probe(server.url(), 100)}));
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return taken.size();
  };
  const MonoTime deadline = mono_now() + 20s;
  while (count() < 8 && mono_now() < deadline) std::this_thread::sleep_for(5ms);
  engine.stop();
  ASSERT_GE(taken.size(), 8U);
  EXPECT_EQ(taken[2].outcome(), Observation::FAILED);
  EXPECT_THAT(taken[2].error(), HasSubstr("faster than they could be passed on"));
  taken.erase(taken.begin() + 2);
  EXPECT_THAT(bodies(taken), ElementsAre("0", "1", "0", "1", "2", "3", "4"));
  EXPECT_EQ(server.accepted(), 2U);
}

TEST(StreamProbe, AFloodDoesNotStarveOtherProbes) {
  const Server flood = Server::tcp([](int connection) {
    read_head(connection);
    write_all(connection, kChunked);
    const std::string chunks = chunk(record(std::string(60'000, 'x')));
    for (int i = 0; i < 3000; ++i) write_all(connection, chunks);
    hang(connection);
  });
  const Server server = Server::tcp(answer_http("x"));
  zonequake::Probe other = make_probe("other", 50, 1000);
  other.mutable_http()->set_url(server.url());
  std::atomic<int> events{0};
  std::atomic<int> others_before_the_end{0};
  ProbeEngine engine([&](const Observation& observation, ProbeNews news) {
    if (news == ProbeNews::kEvent) ++events;
    if (observation.probe() == "other" && events > 0 && events < 3000) ++others_before_the_end;
    return true;
  });
  engine.set_probes(make_set({stream_probe(flood.url()), other}));
  const MonoTime deadline = mono_now() + 30s;
  while (events < 3000 && mono_now() < deadline) std::this_thread::sleep_for(5ms);
  EXPECT_EQ(events, 3000);
  EXPECT_GT(others_before_the_end, 0);
}

}  // namespace
}  // namespace zq::probe_test
