// Tokens as they come from anybody, and claims as they come from issuers that we trust: nothing
// that is not signed gets in, and whoever gets in is a user that permissions can be computed for.
#include "auth/crypto.hpp"
#include "auth/encoding.hpp"
#include "auth/jwt_verifier.hpp"
#include "fuzz.hpp"

namespace {

using namespace conat;
using namespace conat::auth;
using fuzz::require;

constexpr UnixMs kNow = 1'700'000'000'000;
const std::string kSecret = "0123456789abcdef0123456789abcdef";

// RFC 7515, appendices A.2 and A.3, and RFC 8037, appendix A.4: nobody here can sign for these.
constexpr const char* kKeys = R"({"keys":[
  {"kty":"oct","kid":"h","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"},
  {"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"},
  {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
  {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})";

const JwtVerifier& verifier() {
  static const JwtVerifier instance({}, *parse_jwks(kKeys));
  return instance;
}

void check_outcome(const Outcome& outcome) {
  if (!outcome) {
    require(outcome.error().code.number == 401 && !outcome.error().text.empty(),
            "a refusal says why");
    return;
  }
  const Value::Map* user = outcome->user.if_map();
  require(user != nullptr && user->size() == 1, "exactly one id");
  require(is_valid_id((*user)[0].second.text_or({})), "that is one token of a subject");
  for (const std::string& project : outcome->rights.projects) {
    require(is_valid_id(project), "projects as well");
  }
  require(!outcome->rights.everything, "no token gives everything");
  require(outcome->expires_at && *outcome->expires_at > kNow, "and it expires later");
}

bool is_ours(std::string_view token) {
  const std::size_t dot = token.rfind('.');
  if (dot == std::string_view::npos) return false;
  const Digest mac = hmac_sha256(as_bytes(kSecret), as_bytes(token.substr(0, dot)));
  return encode_base64url(mac) == token.substr(dot + 1);
}

}  // namespace

// The first byte chooses: the rest is a token, a JWK Set, a PEM file, or the claims (and, in front
// of a zero byte, the header) of a token that is signed here.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view rest = as_text({data + 1, size - 1});
  switch (data[0] % 4) {
    case 0: {
      const Outcome outcome = verifier().verify(rest, kNow);
      require(!outcome || is_ours(rest), "nothing unsigned gets in");
      check_outcome(outcome);
      break;
    }
    case 1: {
      const auto keys = parse_jwks(rest);
      require(!keys || (!keys->empty() && keys->size() <= max_keys), "some keys or an error");
      if (keys) (void)JwtVerifier({}, *keys).verify("e30.e30.AA", kNow).ok();
      break;
    }
    case 2: {
      const auto keys = parse_pem_keys(rest);
      require(!keys || !keys->empty(), "some keys or an error");
      break;
    }
    default: {
      const std::size_t zero = rest.find('\0');
      const bool has_header = zero != std::string_view::npos;
      const std::string_view header = has_header ? rest.substr(0, zero) : R"({"alg":"HS256"})";
      const std::string_view claims = has_header ? rest.substr(zero + 1) : rest;
      const std::string text =
          encode_base64url(as_bytes(header)) + "." + encode_base64url(as_bytes(claims));
      const Digest mac = hmac_sha256(as_bytes(kSecret), as_bytes(text));
      check_outcome(verifier().verify(text + "." + encode_base64url(mac), kNow));
    }
  }
  return 0;
}
