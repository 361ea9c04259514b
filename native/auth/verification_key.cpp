#include "auth/verification_key.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>

#include "auth/crypto.hpp"

namespace conat::auth {
namespace {

template <auto Function>
struct Free {
  template <class T>
  void operator()(T* pointer) const {
    Function(pointer);
  }
};
template <class T, auto Function>
using Handle = std::unique_ptr<T, Free<Function>>;

using BioHandle = Handle<BIO, BIO_free_all>;
using NumberHandle = Handle<BIGNUM, BN_free>;
using KeyHandle = Handle<EVP_PKEY, EVP_PKEY_free>;
using KeyContextHandle = Handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestContextHandle = Handle<EVP_MD_CTX, EVP_MD_CTX_free>;
using ParameterBuilderHandle = Handle<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using ParametersHandle = Handle<OSSL_PARAM, OSSL_PARAM_free>;
using CertificateHandle = Handle<X509, X509_free>;
using EcSignatureHandle = Handle<ECDSA_SIG, ECDSA_SIG_free>;

constexpr std::size_t kP256Bytes = 32;
constexpr std::size_t kEd25519KeyBytes = 32;
constexpr std::size_t kEd25519SignatureBytes = 64;
// Larger exponents only cost time.
constexpr int kMaxRsaExponentBits = 64;

Error wrong(std::string text) {
  ERR_clear_error();
  return {ErrorKind::invalid_argument, std::move(text)};
}

KeyHandle make_key(const char* type, OSSL_PARAM_BLD* builder) {
  const ParametersHandle parameters(OSSL_PARAM_BLD_to_param(builder));
  const KeyContextHandle context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  return KeyHandle(key);
}

NumberHandle number_of(ByteView bytes) {
  return NumberHandle(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
}

// r and s, 32 bytes each, become the DER structure that OpenSSL wants.
Bytes der_of(ByteView signature) {
  const EcSignatureHandle parts(ECDSA_SIG_new());
  NumberHandle r = number_of(signature.first(kP256Bytes));
  NumberHandle s = number_of(signature.subspan(kP256Bytes));
  if (!parts || !r || !s || ECDSA_SIG_set0(parts.get(), r.get(), s.get()) != 1) return {};
  (void)r.release();
  (void)s.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(parts.get(), &der);
  if (size <= 0) return {};
  Bytes bytes(der, der + size);
  OPENSSL_free(der);
  return bytes;
}

// As X.509 writes public keys; empty when it cannot be.
Bytes public_der_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return {};
  Bytes bytes(der, der + size);
  OPENSSL_free(der);
  return bytes;
}

Status check_rsa(EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  if (bits < min_rsa_bits) {
    return wrong("an RSA key of " + std::to_string(bits) + " bits is too short (at least " +
                 std::to_string(min_rsa_bits) + ")");
  }
  if (bits > max_rsa_bits) {
    return wrong("an RSA key of " + std::to_string(bits) + " bits is too long (at most " +
                 std::to_string(max_rsa_bits) + ")");
  }
  BIGNUM* exponent_pointer = nullptr;
  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent_pointer);
  const NumberHandle exponent(exponent_pointer);
  if (!exponent || BN_is_odd(exponent.get()) == 0 || BN_is_one(exponent.get()) != 0 ||
      BN_num_bits(exponent.get()) > kMaxRsaExponentBits) {
    return wrong("an RSA key with an invalid exponent");
  }
  return Nothing{};
}

Status check_ec(EVP_PKEY* key) {
  std::array<char, 80> group{};
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) != 1 ||
      std::string_view(group.data(), size) != SN_X9_62_prime256v1) {
    return wrong("an elliptic curve other than P-256");
  }
  const KeyContextHandle context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  if (!context || EVP_PKEY_public_check(context.get()) != 1) {
    return wrong("a key that is no point of P-256");
  }
  return Nothing{};
}

}  // namespace

std::optional<Algorithm> algorithm_named(std::string_view name) {
  for (const Algorithm algorithm :
       {Algorithm::hs256, Algorithm::rs256, Algorithm::es256, Algorithm::eddsa}) {
    if (name_of(algorithm) == name) return algorithm;
  }
  return std::nullopt;
}

std::string_view name_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::hs256:
      return "HS256";
    case Algorithm::rs256:
      return "RS256";
    case Algorithm::es256:
      return "ES256";
    case Algorithm::eddsa:
      return "EdDSA";
  }
  return {};
}

struct VerificationKey::Implementation {
  Bytes secret;   // HS256
  KeyHandle key;  // the others
  Digest fingerprint{};

  ~Implementation() { wipe(secret); }
};

Result<VerificationKey> VerificationKey::from_secret(Bytes secret) {
  if (secret.size() < min_secret_bytes) {
    return wrong("a secret of " + std::to_string(secret.size()) + " bytes is too short (at least " +
                 std::to_string(min_secret_bytes) + ")");
  }
  auto implementation = std::make_shared<Implementation>();
  implementation->secret = std::move(secret);
  implementation->fingerprint = hmac_sha256(implementation->secret, as_bytes("fingerprint"));
  return VerificationKey(Algorithm::hs256, std::move(implementation));
}

Result<VerificationKey> VerificationKey::from_rsa(ByteView modulus, ByteView exponent) {
  constexpr std::size_t max_bytes = max_rsa_bits / 8;
  if (modulus.size() > max_bytes || exponent.size() > max_bytes) {
    return wrong("an RSA key that is too long (at most " + std::to_string(max_rsa_bits) + " bits)");
  }
  const NumberHandle n = number_of(modulus);
  const NumberHandle e = number_of(exponent);
  const ParameterBuilderHandle builder(OSSL_PARAM_BLD_new());
  if (!n || !e || !builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return wrong("an invalid RSA key");
  }
  auto implementation = std::make_shared<Implementation>();
  implementation->key = make_key("RSA", builder.get());
  return from_public_key(std::move(implementation));
}

Result<VerificationKey> VerificationKey::from_p256(ByteView x, ByteView y) {
  if (x.size() != kP256Bytes || y.size() != kP256Bytes) {
    return wrong("coordinates that are not 32 bytes long");
  }
  Bytes point{4};  // uncompressed
  append(point, x);
  append(point, y);
  const ParameterBuilderHandle builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                      SN_X9_62_prime256v1, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return wrong("an invalid key of P-256");
  }
  auto implementation = std::make_shared<Implementation>();
  implementation->key = make_key("EC", builder.get());
  if (!implementation->key) return wrong("a key that is no point of P-256");
  return from_public_key(std::move(implementation));
}

Result<VerificationKey> VerificationKey::from_ed25519(ByteView point) {
  if (point.size() != kEd25519KeyBytes) return wrong("an Ed25519 key that is not 32 bytes long");
  auto implementation = std::make_shared<Implementation>();
  implementation->key.reset(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, point.data(), point.size()));
  return from_public_key(std::move(implementation));
}

Result<VerificationKey> VerificationKey::from_pem(std::string_view block) {
  const BioHandle input(BIO_new_mem_buf(block.data(), static_cast<int>(block.size())));
  auto implementation = std::make_shared<Implementation>();
  if (block.find("-----BEGIN CERTIFICATE-----") != std::string_view::npos) {
    const CertificateHandle certificate(PEM_read_bio_X509(input.get(), nullptr, nullptr, nullptr));
    if (certificate) implementation->key.reset(X509_get_pubkey(certificate.get()));
  } else {
    implementation->key.reset(PEM_read_bio_PUBKEY(input.get(), nullptr, nullptr, nullptr));
  }
  return from_public_key(std::move(implementation));
}

const Digest& VerificationKey::fingerprint() const { return implementation_->fingerprint; }

Result<VerificationKey> VerificationKey::from_public_key(
    std::shared_ptr<Implementation> implementation) {
  EVP_PKEY* key = implementation->key.get();
  if (key == nullptr) return wrong("an unreadable public key");
  implementation->fingerprint = sha256(public_der_of(key));
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
      if (Status status = check_rsa(key); !status) return status.error();
      return VerificationKey(Algorithm::rs256, std::move(implementation));
    case EVP_PKEY_EC:
      if (Status status = check_ec(key); !status) return status.error();
      return VerificationKey(Algorithm::es256, std::move(implementation));
    case EVP_PKEY_ED25519:
      return VerificationKey(Algorithm::eddsa, std::move(implementation));
    default:
      return wrong("a kind of key that is not supported (RSA, P-256 and Ed25519 are)");
  }
}

bool VerificationKey::check(ByteView text, ByteView signature) const {
  if (algorithm_ == Algorithm::hs256) {
    return equal_in_constant_time(hmac_sha256(implementation_->secret, text), signature);
  }
  Bytes der;
  if (algorithm_ == Algorithm::es256) {
    if (signature.size() != 2 * kP256Bytes) return false;
    der = der_of(signature);
    signature = der;
  } else if (algorithm_ == Algorithm::eddsa && signature.size() != kEd25519SignatureBytes) {
    return false;
  }
  const EVP_MD* digest = algorithm_ == Algorithm::eddsa ? nullptr : EVP_sha256();
  const DigestContextHandle context(EVP_MD_CTX_new());
  const bool right = context &&
                     EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr,
                                          implementation_->key.get()) == 1 &&
                     EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                                      text.data(), text.size()) == 1;
  ERR_clear_error();  // a wrong signature leaves entries in this thread's queue
  return right;
}

}  // namespace conat::auth
