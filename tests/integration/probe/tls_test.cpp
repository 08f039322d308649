#include "tests/integration/probe/tls.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

namespace zq::probe_test {
namespace {

using testing::HasSubstr;

void answer(SSL* ssl, const std::string& text) {
  std::array<char, 4096> request{};
  if (SSL_read(ssl, request.data(), static_cast<int>(request.size())) <= 0) return;
  SSL_write(ssl, text.data(), static_cast<int>(text.size()));
}

class TlsProbe : public testing::Test {
 protected:
  TlsProbe() { ::signal(SIGPIPE, SIG_IGN); }  // OpenSSL writes without MSG_NOSIGNAL

  zonequake::Probe probe(const std::string& host = "127.0.0.1") const {
    zonequake::Probe probe = make_probe("tls", 200, 3000);
    probe.mutable_http()->set_url(fmt::format("https://{}:{}/", host, server_.port()));
    return probe;
  }

  const Certificate certificate_;
  const Server server_ = Server::tcp(over_tls(certificate_, [](SSL* ssl) {
    answer(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
  }));
};

TEST_F(TlsProbe, AnswersWhenTheCertificateIsTrusted) {
  zonequake::Probe trusting = probe();
  trusting.mutable_http()->set_ca_pem(certificate_.pem());
  const Observation result = first_result(trusting);
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_EQ(result.body(), "secret");
}

TEST_F(TlsProbe, RefusesACertificateThatNobodyVouchesFor) {
  const Observation result = first_result(probe());
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_THAT(result.error(), HasSubstr("certificate"));
}

TEST_F(TlsProbe, RefusesACertificateOfAnotherAuthority) {
  zonequake::Probe trusting = probe();
  trusting.mutable_http()->set_ca_pem(Certificate().pem());
  const Observation result = first_result(trusting);
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_THAT(result.error(), HasSubstr("certificate"));
}

TEST_F(TlsProbe, RefusesACertificateForAnotherName) {
  zonequake::Probe trusting = probe("localhost");
  trusting.mutable_http()->set_ca_pem(certificate_.pem());
  const Observation result = first_result(trusting);
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_THAT(result.error(), HasSubstr("localhost"));
}

TEST_F(TlsProbe, InsecureTakesAnyCertificate) {
  zonequake::Probe insecure = probe("localhost");
  insecure.mutable_http()->set_insecure(true);
  const Observation result = first_result(insecure);
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
}

TEST_F(TlsProbe, WhatIsNoCertificateIsSaid) {
  zonequake::Probe broken = probe();
  broken.mutable_http()->set_ca_pem("no certificate");
  const Observation result = first_result(broken);
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_NE(result.error(), "");
}

TEST_F(TlsProbe, StreamsOverTls) {
  const Server streaming = Server::tcp(over_tls(certificate_, [](SSL* ssl) {
    answer(ssl, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n3\nabc\r\n");
    std::array<char, 16> wait{};
    SSL_read(ssl, wait.data(), static_cast<int>(wait.size()));
  }));
  zonequake::Probe stream = make_probe("tls", 200, 3000);
  zonequake::HttpProbe& request = *stream.mutable_stream()->mutable_request();
  request.set_url(fmt::format("https://127.0.0.1:{}/", streaming.port()));
  request.set_ca_pem(certificate_.pem());
  const Observation result = first_result(stream);
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_EQ(result.body(), "abc");
}

}  // namespace
}  // namespace zq::probe_test
