// Key files of each kind, what is wrong with them, and their replacement at run time.
#include "auth/key_files.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "auth/encoding.hpp"
#include "auth/jwt_verifier.hpp"
#include "native/auth/signer.hpp"
#include "native/auth/temporary_directory.hpp"

namespace conat::auth {
namespace {

constexpr UnixMs now = 1'700'000'000'000;
constexpr std::string_view claims = R"({"account_id":"a1","exp":1700000060})";

template <class T>
std::string error_of(const Result<T>& result) {
  return result.ok() ? "" : result.error().text;
}

std::string jwks(std::initializer_list<std::string> keys) {
  std::string text;
  for (const std::string& key : keys) text += (text.empty() ? "" : ",") + key;
  return R"({"keys":[)" + text + "]}";
}

std::string with_key_id(const Signer& signer, std::string_view id) {
  return signer.token(R"({"alg":")" + std::string(name_of(signer.algorithm())) + R"(","kid":")" +
                          std::string(id) + "\"}",
                      claims);
}

}  // namespace

TEST_CASE("PEM files: public keys and certificates of each kind") {
  std::string all = "Comment\n";
  std::vector<Signer> signers;
  for (const auto algorithm : {Algorithm::rs256, Algorithm::es256, Algorithm::eddsa}) {
    signers.emplace_back(algorithm);
    for (const std::string& pem : {signers.back().public_pem(), signers.back().certificate_pem()}) {
      const auto keys = parse_pem_keys(pem);
      REQUIRE(error_of(keys) == "");
      CHECK(keys->size() == 1);
      CHECK((*keys)[0].algorithm() == algorithm);
      CHECK((*keys)[0].check(as_bytes("text"), signers.back().sign("text")));
    }
    all += signers.back().public_pem();
    CHECK(error_of(parse_pem_keys(signers.back().private_pem())) ==
          "a private key: the broker must only have the public one");
  }
  const auto keys = parse_pem_keys(all);
  REQUIRE(error_of(keys) == "");
  CHECK(keys->size() == 3);
  const JwtVerifier verifier({}, *keys);
  for (const Signer& signer : signers) CHECK(verifier.verify(signer.token(claims), now).ok());
  CHECK(error_of(parse_pem_keys("")) == "no public key in PEM form");
  CHECK(error_of(parse_pem_keys("-----BEGIN PUBLIC KEY-----\nAAAA")) ==
        "a PEM block without its end");
  CHECK(error_of(parse_pem_keys("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")) ==
        "an unreadable public key");
}

TEST_CASE("A key's fingerprint is the same in whatever file it stands") {
  std::set<Digest> fingerprints;
  for (const Algorithm algorithm : {Algorithm::rs256, Algorithm::es256, Algorithm::eddsa}) {
    const Signer signer(algorithm);
    const auto pem = parse_pem_keys(signer.public_pem());
    const auto set = parse_jwks(jwks({signer.jwk("name")}));
    REQUIRE(error_of(pem) == "");
    REQUIRE(error_of(set) == "");
    CHECK(pem->at(0).fingerprint() == set->at(0).fingerprint());
    fingerprints.insert(pem->at(0).fingerprint());
  }
  for (const char letter : {'a', 'b'}) {
    const auto keys = parse_secret(std::string(32, letter));
    REQUIRE(keys.ok());
    fingerprints.insert(keys->at(0).fingerprint());
  }
  CHECK(fingerprints.size() == 5);
}

TEST_CASE("Secrets") {
  const std::string secret(32, 's');
  const Signer signer(Algorithm::hs256);
  for (const char* end : {"", "\n", "\r\n"}) {
    const auto keys = parse_secret(signer.secret() + end);
    REQUIRE(keys.ok());
    CHECK((*keys)[0].check(as_bytes("text"), signer.sign("text")));
  }
  CHECK(parse_secret(secret).ok());
  CHECK(error_of(parse_secret(secret.substr(1) + "\n")) ==
        "a secret of 31 bytes is too short (at least 32)");
  CHECK(error_of(parse_secret("")) == "a secret of 0 bytes is too short (at least 32)");
}

TEST_CASE("JWK Sets: what is skipped and what is an error") {
  const std::string good = Signer(Algorithm::es256).jwk("good");
  const auto with = [&](const std::string& key) { return parse_jwks(jwks({good, key})); };
  // Keys for something else.
  for (const char* key :
       {R"({})", R"({"kty":"XYZ"})", R"({"kty":"EC","crv":"P-384","x":"AA","y":"AA"})",
        R"({"kty":"OKP","crv":"X25519","x":"AA"})", R"({"kty":"RSA","use":"enc"})",
        R"({"kty":"RSA","alg":"PS256"})", R"({"kty":"RSA","key_ops":["encrypt"]})"}) {
    INFO(key);
    const auto keys = with(key);
    REQUIRE(error_of(keys) == "");
    CHECK(keys->size() == 1);
    CHECK((*keys)[0].id == "good");
  }
  CHECK(error_of(with(R"(7)")) == "key 2: not an object");
  CHECK(error_of(with(R"({"kty":"RSA","n":"AQ"})")) == "key 2: `e` is missing");
  CHECK(error_of(with(R"({"kty":"RSA","n":"A+","e":"AQAB"})")) == "key 2: `n` is not base64url");
  CHECK(error_of(with(R"({"kty":"RSA","n":"","e":""})")).substr(0, 6) == "key 2:");
  CHECK(error_of(with(R"({"kty":"RSA","n":"wQ","e":"AQAB"})")) ==
        "key 2: an RSA key of 8 bits is too short (at least 2048)");
  CHECK(error_of(with(R"({"kty":"RSA","e":"AQAB","n":")" + encode_base64url(Bytes(4000, 0xff)) +
                      "\"}")) == "key 2: an RSA key that is too long (at most 8192 bits)");
  CHECK(error_of(with(R"({"kty":"RSA","e":"AQ","n":")" + encode_base64url(Bytes(256, 0xff)) +
                      "\"}")) == "key 2: an RSA key with an invalid exponent");
  CHECK(error_of(with(R"({"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"})")) ==
        "key 2: coordinates that are not 32 bytes long");
  const std::string ones = encode_base64url(Bytes(32, 1));
  CHECK(error_of(with(R"({"kty":"EC","crv":"P-256","x":")" + ones + R"(","y":")" + ones + "\"}")) ==
        "key 2: a key that is no point of P-256");
  CHECK(error_of(with(R"({"kty":"OKP","crv":"Ed25519","x":"AQ"})")) ==
        "key 2: an Ed25519 key that is not 32 bytes long");
  CHECK(error_of(with(R"({"kty":"oct","k":"AQ"})")) ==
        "key 2: a secret of 1 bytes is too short (at least 32)");
  CHECK(error_of(with(R"({"kty":"OKP","crv":"Ed25519","d":"AQ","x":")" + ones + "\"}")) ==
        "key 2: a private key: the broker must only have the public one");
  CHECK(error_of(with(R"({"kty":"oct","kid":1,"k":")" + ones + "\"}")) ==
        "key 2: `kid` must be text");
  CHECK(error_of(parse_jwks("{")) == "malformed JSON");
  CHECK(error_of(parse_jwks("[]")) == "no array `keys`");
  CHECK(error_of(parse_jwks(R"({"keys":[]})")) == "no key for HS256, RS256, ES256 or EdDSA");
  std::string many = good;
  for (int i = 0; i < 100; ++i) many += "," + good;
  CHECK(error_of(parse_jwks(jwks({many}))) == "more than 100 keys");
}

TEST_CASE("A token's key id chooses among the keys") {
  const Signer one(Algorithm::es256);
  const Signer two(Algorithm::es256);
  const Signer three(Algorithm::eddsa);
  const Signer unnamed(Algorithm::es256);
  const auto keys = parse_jwks(jwks({one.jwk("1"), two.jwk("2"), three.jwk("1"), unnamed.jwk()}));
  REQUIRE(keys.ok());
  const JwtVerifier verifier({}, *keys);
  CHECK(verifier.keys() == 4);
  CHECK(verifier.verify(with_key_id(one, "1"), now).ok());
  CHECK(verifier.verify(with_key_id(two, "2"), now).ok());
  CHECK(verifier.verify(with_key_id(three, "1"), now).ok());
  CHECK(!verifier.verify(with_key_id(two, "1"), now).ok());
  CHECK(!verifier.verify(with_key_id(one, "3"), now).ok());
  CHECK(verifier.verify(one.token(claims), now).ok());
  CHECK(verifier.verify(two.token(claims), now).ok());
  CHECK(verifier.verify(with_key_id(unnamed, "whatever"), now).ok());
}

TEST_CASE("Keys are replaced while tokens come in, and kept when the new ones are broken") {
  const TemporaryDirectory directory;
  const Signer before(Algorithm::eddsa);
  const Signer after(Algorithm::eddsa);
  const Signer secret(Algorithm::hs256);
  JwtOptions options;
  options.key_files = {{KeyFileKind::jwks, directory.path / "keys.json"},
                       {KeyFileKind::secret, directory.path / "secret"}};
  CHECK(error_of(JwtVerifier::open(options)) ==
        "cannot read " + (directory.path / "keys.json").string() + ": No such file or directory");
  directory.write("keys.json", jwks({before.jwk("a")}));
  directory.write("secret", secret.secret() + "\n");
  auto opened = JwtVerifier::open(options);
  REQUIRE(error_of(opened) == "");
  JwtVerifier& verifier = **opened;
  CHECK(verifier.keys() == 2);
  CHECK(verifier.verify(with_key_id(before, "a"), now).ok());
  CHECK(verifier.verify(secret.token(claims), now).ok());
  auto changed = verifier.reload_if_changed();
  REQUIRE(changed.ok());
  CHECK(!*changed);

  directory.write("keys.json", jwks({before.jwk("a"), after.jwk("b")}));
  changed = verifier.reload_if_changed();
  REQUIRE(changed.ok());
  CHECK(*changed);
  CHECK(verifier.verify(with_key_id(before, "a"), now).ok());
  CHECK(verifier.verify(with_key_id(after, "b"), now).ok());

  directory.write("keys.json", "{\"keys\":");
  const auto broken = verifier.reload_if_changed();
  CHECK(error_of(broken) == (directory.path / "keys.json").string() + ": malformed JSON");
  CHECK(verifier.verify(with_key_id(after, "b"), now).ok());
  // Said once, not for each look at it; an explicit reload says it again.
  changed = verifier.reload_if_changed();
  REQUIRE(changed.ok());
  CHECK(!*changed);
  CHECK(error_of(verifier.reload()) != "");

  directory.write("keys.json", jwks({after.jwk("b")}));
  CHECK(error_of(verifier.reload()) == "");
  CHECK(!verifier.verify(with_key_id(before, "a"), now).ok());
  CHECK(verifier.verify(with_key_id(after, "b"), now).ok());
}

}  // namespace conat::auth
