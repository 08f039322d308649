// A TLS server for probes, with a certificate of its own.
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <string>

#include "tests/integration/probe/harness.h"

namespace zq::probe_test {

// Self-signed, for 127.0.0.1, made anew each time.
class Certificate {
 public:
  Certificate();
  [[nodiscard]] std::string pem() const;
  [[nodiscard]] SSL_CTX* server() const { return server_.get(); }

 private:
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<X509, decltype(&X509_free)> certificate_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> server_;
};

// A handler that makes TLS out of a connection and gives it to `talk`, if the peer agrees. The
// certificate must outlive the server.
Server::Handler over_tls(const Certificate& certificate, std::function<void(SSL*)> talk);

}  // namespace zq::probe_test
