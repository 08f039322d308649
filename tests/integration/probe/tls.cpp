#include "tests/integration/probe/tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdexcept>

namespace zq::probe_test {
namespace {

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(what);
}

void add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  require(extension != nullptr, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

Certificate::Certificate()
    : key_(EVP_EC_gen("P-256"), &EVP_PKEY_free),
      certificate_(X509_new(), &X509_free),
      server_(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free) {
  require(key_ && certificate_ && server_, "OpenSSL has no memory");
  X509* const certificate = certificate_.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key_.get());
  X509_NAME* const name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("zonequake test"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate, NID_subject_alt_name, "IP:127.0.0.1");
  require(X509_sign(certificate, key_.get(), EVP_sha256()) > 0, "X509_sign");
  require(SSL_CTX_use_certificate(server_.get(), certificate) == 1, "SSL_CTX_use_certificate");
  require(SSL_CTX_use_PrivateKey(server_.get(), key_.get()) == 1, "SSL_CTX_use_PrivateKey");
}

std::string Certificate::pem() const {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), &BIO_free);
  PEM_write_bio_X509(memory.get(), certificate_.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

Server::Handler over_tls(const Certificate& certificate, std::function<void(SSL*)> talk) {
  return [&certificate, talk = std::move(talk)](int connection) {
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(certificate.server()), &SSL_free);
    if (!ssl || SSL_set_fd(ssl.get(), connection) != 1 || SSL_accept(ssl.get()) != 1) return;
    talk(ssl.get());
    SSL_shutdown(ssl.get());
  };
}

}  // namespace zq::probe_test
