#include "auth/key_files.hpp"

#include "auth/encoding.hpp"
#include "auth/file_content.hpp"
#include "auth/invalid.hpp"
#include "conat/base/value.hpp"
#include "conat/wire/codec.hpp"

namespace conat::auth {
namespace {

using Keys = std::vector<VerificationKey>;

// Why a key of a JWK Set does not concern us: none of these is an error.
bool is_for_signatures(const Value& jwk) {
  const Value* use = jwk.find("use");
  if (use != nullptr && use->text_or({}) != "sig") return false;
  const Value* operations = jwk.find("key_ops");
  if (operations == nullptr) return true;
  const Value::Array* names = operations->if_array();
  if (names == nullptr) return false;
  for (const Value& name : *names) {
    if (name.text_or({}) == "verify") return true;
  }
  return false;
}

std::optional<Algorithm> algorithm_of(const Value& jwk) {
  const Value* type = jwk.find("kty");
  const Value* curve_member = jwk.find("crv");
  const std::string_view kind = type == nullptr ? "" : type->text_or({});
  const std::string_view curve = curve_member == nullptr ? "" : curve_member->text_or({});
  std::optional<Algorithm> algorithm;
  if (kind == "RSA") algorithm = Algorithm::rs256;
  if (kind == "EC" && curve == "P-256") algorithm = Algorithm::es256;
  if (kind == "OKP" && curve == "Ed25519") algorithm = Algorithm::eddsa;
  if (kind == "oct") algorithm = Algorithm::hs256;
  // A key for another algorithm of the same kind, say PS256, is another key.
  const Value* declared = jwk.find("alg");
  if (declared != nullptr && (!algorithm || declared->text_or({}) != name_of(*algorithm))) {
    return std::nullopt;
  }
  return algorithm;
}

Result<Bytes> member(const Value& jwk, std::string_view name) {
  const Value* value = jwk.find(name);
  if (value == nullptr || value->if_text() == nullptr) {
    return invalid("`" + std::string(name) + "` is missing");
  }
  auto bytes = decode_base64url(*value->if_text());
  if (!bytes) return invalid("`" + std::string(name) + "` is not base64url");
  return std::move(*bytes);
}

Result<VerificationKey> key_of_two(const Value& jwk, const char* first, const char* second,
                                   Result<VerificationKey> (*make)(ByteView, ByteView)) {
  const Result<Bytes> a = member(jwk, first);
  if (!a) return a.error();
  const Result<Bytes> b = member(jwk, second);
  if (!b) return b.error();
  return make(*a, *b);
}

Result<VerificationKey> key_of(const Value& jwk, Algorithm algorithm) {
  if (algorithm != Algorithm::hs256 && jwk.find("d") != nullptr) {
    return invalid("a private key: the broker must only have the public one");
  }
  switch (algorithm) {
    case Algorithm::rs256:
      return key_of_two(jwk, "n", "e", VerificationKey::from_rsa);
    case Algorithm::es256:
      return key_of_two(jwk, "x", "y", VerificationKey::from_p256);
    case Algorithm::eddsa: {
      const Result<Bytes> x = member(jwk, "x");
      if (!x) return x.error();
      return VerificationKey::from_ed25519(*x);
    }
    case Algorithm::hs256: {
      Result<Bytes> secret = member(jwk, "k");
      if (!secret) return secret.error();
      return VerificationKey::from_secret(std::move(*secret));
    }
  }
  return invalid("an unknown algorithm");
}

}  // namespace

Result<Keys> parse_pem_keys(std::string_view text) {
  Keys keys;
  while (true) {
    const std::size_t begin = text.find("-----BEGIN ");
    if (begin == std::string_view::npos) break;
    const std::size_t marker = text.find("-----END ", begin);
    const std::size_t end =
        marker == std::string_view::npos ? std::string_view::npos : text.find("-----", marker + 9);
    if (end == std::string_view::npos) return invalid("a PEM block without its end");
    const std::string_view block = text.substr(begin, end + 5 - begin);
    text.remove_prefix(end + 5);
    if (block.substr(0, block.find('\n')).find("PRIVATE KEY") != std::string_view::npos) {
      return invalid("a private key: the broker must only have the public one");
    }
    if (keys.size() == max_keys) return invalid("more than " + std::to_string(max_keys) + " keys");
    Result<VerificationKey> key = VerificationKey::from_pem(block);
    if (!key) return key.error();
    keys.push_back(std::move(*key));
  }
  if (keys.empty()) return invalid("no public key in PEM form");
  return keys;
}

Result<Keys> parse_secret(std::string_view bytes) {
  if (bytes.find("-----BEGIN ") != std::string_view::npos) {
    return invalid("a PEM file cannot be a secret: everybody may know a public key");
  }
  if (!bytes.empty() && bytes.back() == '\n') bytes.remove_suffix(1);
  if (!bytes.empty() && bytes.back() == '\r') bytes.remove_suffix(1);
  Result<VerificationKey> key = VerificationKey::from_secret(to_bytes(bytes));
  if (!key) return key.error();
  return Keys{std::move(*key)};
}

Result<Keys> parse_jwks(std::string_view text) {
  const Result<Value> set = decode_json(text);
  if (!set) return invalid("malformed JSON");
  const Value* list = set->find("keys");
  if (list == nullptr || list->if_array() == nullptr) return invalid("no array `keys`");
  Keys keys;
  std::size_t number = 0;
  for (const Value& jwk : *list->if_array()) {
    ++number;
    const auto failed = [&](const std::string& why) {
      return invalid("key " + std::to_string(number) + ": " + why);
    };
    if (jwk.if_map() == nullptr) return failed("not an object");
    const std::optional<Algorithm> algorithm = algorithm_of(jwk);
    if (!algorithm || !is_for_signatures(jwk)) continue;
    Result<VerificationKey> key = key_of(jwk, *algorithm);
    if (!key) return failed(key.error().text);
    if (const Value* id = jwk.find("kid")) {
      if (id->if_text() == nullptr) return failed("`kid` must be text");
      key->id = *id->if_text();
    }
    if (keys.size() == max_keys) return invalid("more than " + std::to_string(max_keys) + " keys");
    keys.push_back(std::move(*key));
  }
  if (keys.empty()) return invalid("no key for HS256, RS256, ES256 or EdDSA");
  return keys;
}

Result<Keys> load_key_file(const KeyFile& file) {
  const Result<std::string> content = read_file(file.path, max_key_file_bytes);
  if (!content) return content.error();
  Result<Keys> keys = file.kind == KeyFileKind::pem      ? parse_pem_keys(*content)
                      : file.kind == KeyFileKind::secret ? parse_secret(*content)
                                                         : parse_jwks(*content);
  if (!keys) return invalid(file.path.string() + ": " + keys.error().text);
  return keys;
}

}  // namespace conat::auth
