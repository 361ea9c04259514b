#include "certificates.hpp"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <memory>

namespace conat::test {
namespace {

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(memory);
  return text;
}

void add_names(X509* certificate) {
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, &context, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  REQUIRE(names != nullptr);
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
}

}  // namespace

Certificate make_certificate(long from_s, long until_s) {
  static long serial = 1;
  EVP_PKEY* key = EVP_EC_gen("P-256");
  REQUIRE(key != nullptr);
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
  X509_gmtime_adj(X509_getm_notAfter(certificate), until_s);
  X509_set_pubkey(certificate, key);
  add_names(certificate);
  REQUIRE(X509_sign(certificate, key, EVP_sha256()) > 0);
  Certificate made;
  BIO* memory = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(memory, certificate);
  made.certificate = text_of(memory);
  memory = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(memory, key, nullptr, nullptr, 0, nullptr, nullptr);
  made.key = text_of(memory);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return made;
}

CertificateFiles write_certificate(const Certificate& certificate,
                                   const std::filesystem::path& directory) {
  CertificateFiles files{directory / "certificate.pem", directory / "key.pem"};
  std::ofstream(files.certificate) << certificate.certificate;
  std::ofstream(files.key) << certificate.key;
  return files;
}

}  // namespace conat::test
