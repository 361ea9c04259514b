#include "native/auth/signer.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <catch2/catch.hpp>

#include "auth/crypto.hpp"
#include "auth/encoding.hpp"

namespace conat::auth {

struct Signer::Key {
  EVP_PKEY* key = nullptr;
  ~Key() { EVP_PKEY_free(key); }
};

namespace {

template <class Write>
std::string written(Write&& write) {
  BIO* out = BIO_new(BIO_s_mem());
  REQUIRE(write(out) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(out);
  return text;
}

std::string number(EVP_PKEY* key, const char* name, int padded_bytes = 0) {
  BIGNUM* value = nullptr;
  REQUIRE(EVP_PKEY_get_bn_param(key, name, &value) == 1);
  const int size = padded_bytes != 0 ? padded_bytes : BN_num_bytes(value);
  Bytes bytes(static_cast<std::size_t>(size));
  BN_bn2binpad(value, bytes.data(), size);
  BN_free(value);
  return encode_base64url(bytes);
}

// DER to r and s.
Bytes jose_form(const Bytes& der) {
  const unsigned char* at = der.data();
  ECDSA_SIG* parts = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  REQUIRE(parts != nullptr);
  Bytes bytes(64);
  BN_bn2binpad(ECDSA_SIG_get0_r(parts), bytes.data(), 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(parts), bytes.data() + 32, 32);
  ECDSA_SIG_free(parts);
  return bytes;
}

}  // namespace

Signer::Signer(Algorithm algorithm) : algorithm_(algorithm), key_(std::make_unique<Key>()) {
  switch (algorithm) {
    case Algorithm::hs256:
      secret_ = encode_hex(random_bytes(32));
      break;
    case Algorithm::rs256:
      key_->key = EVP_RSA_gen(2048);
      break;
    case Algorithm::es256:
      key_->key = EVP_EC_gen("P-256");
      break;
    case Algorithm::eddsa:
      key_->key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
  }
  REQUIRE((algorithm == Algorithm::hs256 || key_->key != nullptr));
}

Signer::~Signer() = default;
Signer::Signer(Signer&&) noexcept = default;

std::string Signer::public_pem() const {
  return written([&](BIO* out) { return PEM_write_bio_PUBKEY(out, key_->key); });
}

std::string Signer::private_pem() const {
  return written([&](BIO* out) {
    return PEM_write_bio_PrivateKey(out, key_->key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string Signer::certificate_pem() const {
  X509* certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key_->key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("conat test"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_set_version(certificate, 2);
  X509_EXTENSION* address =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(certificate, address, -1);
  X509_EXTENSION_free(address);
  X509_sign(certificate, key_->key, algorithm_ == Algorithm::eddsa ? nullptr : EVP_sha256());
  const std::string pem = written([&](BIO* out) { return PEM_write_bio_X509(out, certificate); });
  X509_free(certificate);
  return pem;
}

std::string Signer::jwk(std::string_view key_id) const {
  std::string text = "{";
  if (!key_id.empty()) text += R"("kid":")" + std::string(key_id) + R"(",)";
  switch (algorithm_) {
    case Algorithm::hs256:
      return text + R"("kty":"oct","k":")" + encode_base64url(as_bytes(secret_)) + "\"}";
    case Algorithm::rs256:
      return text + R"("kty":"RSA","use":"sig","alg":"RS256","n":")" +
             number(key_->key, OSSL_PKEY_PARAM_RSA_N) + R"(","e":")" +
             number(key_->key, OSSL_PKEY_PARAM_RSA_E) + "\"}";
    case Algorithm::es256:
      return text + R"("kty":"EC","crv":"P-256","x":")" +
             number(key_->key, OSSL_PKEY_PARAM_EC_PUB_X, 32) + R"(","y":")" +
             number(key_->key, OSSL_PKEY_PARAM_EC_PUB_Y, 32) + "\"}";
    case Algorithm::eddsa: {
      Bytes point(32);
      std::size_t size = point.size();
      REQUIRE(EVP_PKEY_get_raw_public_key(key_->key, point.data(), &size) == 1);
      return text + R"("kty":"OKP","crv":"Ed25519","x":")" + encode_base64url(point) + "\"}";
    }
  }
  return {};
}

Bytes Signer::sign(std::string_view text) const {
  if (algorithm_ == Algorithm::hs256) {
    const Digest digest = hmac_sha256(as_bytes(secret_), as_bytes(text));
    return to_bytes(ByteView(digest));
  }
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const EVP_MD* digest = algorithm_ == Algorithm::eddsa ? nullptr : EVP_sha256();
  REQUIRE(EVP_DigestSignInit(context, nullptr, digest, nullptr, key_->key) == 1);
  const ByteView bytes = as_bytes(text);
  std::size_t size = 0;
  REQUIRE(EVP_DigestSign(context, nullptr, &size, bytes.data(), bytes.size()) == 1);
  Bytes signature(size);
  REQUIRE(EVP_DigestSign(context, signature.data(), &size, bytes.data(), bytes.size()) == 1);
  EVP_MD_CTX_free(context);
  signature.resize(size);
  return algorithm_ == Algorithm::es256 ? jose_form(signature) : signature;
}

std::string Signer::token(std::string_view claims) const {
  return token(R"({"alg":")" + std::string(name_of(algorithm_)) + R"(","typ":"JWT"})", claims);
}

std::string Signer::token(std::string_view header, std::string_view claims) const {
  const std::string text =
      encode_base64url(as_bytes(header)) + "." + encode_base64url(as_bytes(claims));
  return text + "." + encode_base64url(sign(text));
}

}  // namespace conat::auth
