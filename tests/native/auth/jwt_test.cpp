// Tokens as issuers make them, as the RFCs' appendices have them, and as attackers would.
#include <catch2/catch.hpp>

#include "auth/crypto.hpp"
#include "auth/encoding.hpp"
#include "auth/jwt_verifier.hpp"
#include "conat/wire/codec.hpp"
#include "native/auth/signer.hpp"

namespace conat::auth {
namespace {

constexpr UnixMs now = 1'700'000'000'000;
const std::string claims =
    R"({"account_id":"a1","exp":1700000060,"admin":true,"projects":["p1","p2"]})";

using Keys = std::vector<VerificationKey>;

Keys keys_of(const Signer& signer) {
  auto keys = parse_jwks(R"({"keys":[)" + signer.jwk() + "]}");
  REQUIRE(keys.ok());
  return std::move(*keys);
}

JwtVerifier verifier_of(const Signer& signer, JwtOptions options = {}) {
  return {std::move(options), keys_of(signer)};
}

std::string error_of(const Outcome& outcome) {
  REQUIRE(!outcome.ok());
  CHECK(outcome.error().code.number == 401);
  const std::string prefix = "authentication failed: ";
  REQUIRE(outcome.error().text.substr(0, prefix.size()) == prefix);
  return outcome.error().text.substr(prefix.size());
}

std::string user_of(const Outcome& outcome) {
  if (!outcome.ok()) return outcome.error().text;
  return encode_json(outcome->user);
}

const Signer& hs256() {
  static const Signer signer(Algorithm::hs256);
  return signer;
}

std::string base64url(std::string_view text) { return encode_base64url(as_bytes(text)); }

Bytes decoded(std::string_view text) {
  auto bytes = decode_base64url(text);
  REQUIRE(bytes);
  return *bytes;
}

}  // namespace

TEST_CASE("Each algorithm: a token's user, rights and expiry") {
  for (const auto algorithm :
       {Algorithm::hs256, Algorithm::rs256, Algorithm::es256, Algorithm::eddsa}) {
    INFO(name_of(algorithm));
    const Signer signer(algorithm);
    const JwtVerifier verifier = verifier_of(signer);
    const std::string token = signer.token(claims);
    CHECK(JwtVerifier::looks_like_token(token));
    const Outcome outcome = verifier.verify(token, now);
    REQUIRE(user_of(outcome) == R"({"account_id":"a1"})");
    CHECK(outcome->rights.is_admin);
    CHECK(!outcome->rights.everything);
    CHECK(outcome->rights.projects == std::vector<std::string>{"p1", "p2"});
    CHECK(outcome->expires_at == 1'700'000'060'000);
    // Every other signature is none.
    const std::size_t dot = token.rfind('.');
    Bytes signature = decoded(std::string_view(token).substr(dot + 1));
    for (std::size_t i = 0; i < signature.size(); i += 7) {
      signature[i] ^= 1;
      CHECK(error_of(verifier.verify(token.substr(0, dot + 1) + encode_base64url(signature),
                                     now)) == "invalid token signature");
      signature[i] ^= 1;
    }
    signature.pop_back();
    CHECK(!verifier.verify(token.substr(0, dot + 1) + encode_base64url(signature), now).ok());
    CHECK(!verifier.verify(token.substr(0, dot + 1), now).ok());
    const Signer other(algorithm);
    CHECK(error_of(verifier_of(other).verify(token, now)) == "invalid token signature");
  }
}

TEST_CASE("RFC 7515, appendices A.1 to A.3, and RFC 7519, section 3.1") {
  const std::string payload =
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ";
  const std::string hs = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + payload +
                         ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  const std::string rs = "eyJhbGciOiJSUzI1NiJ9." + payload +
                         ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__"
                         "dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
                         "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
                         "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L"
                         "07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
                         "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUi"
                         "pUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
  const std::string es =
      "eyJhbGciOiJFUzI1NiJ9." + payload +
      ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
  const auto keys = parse_jwks(R"({"keys":[
    {"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"},
    {"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"},
    {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})");
  REQUIRE(keys.ok());
  JwtOptions options;
  options.claims.account_id = "iss";
  options.claims.admin = "http://example.com/is_root";
  const JwtVerifier verifier(options, *keys);
  for (const std::string& token : {hs, rs, es}) {
    const Outcome outcome = verifier.verify(token, 1'300'819'379'999);
    CHECK(user_of(outcome) == R"({"account_id":"joe"})");
    REQUIRE(outcome.ok());
    CHECK(outcome->rights.is_admin);
    CHECK(error_of(verifier.verify(token, 1'300'819'380'000)) == "token expired");
  }
  // RFC 7519, section 6.1: a token that nobody signed.
  CHECK(error_of(verifier.verify("eyJhbGciOiJub25lIn0." + payload + ".", 0)) ==
        "token algorithm not supported");
}

TEST_CASE("RFC 8037, appendix A.4: Ed25519") {
  const auto keys = parse_jwks(
      R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})");
  REQUIRE(keys.ok());
  const std::string text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
  const std::string signature =
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
  CHECK((*keys)[0].check(as_bytes(text), decoded(signature)));
  CHECK(!(*keys)[0].check(as_bytes(text + "x"), decoded(signature)));
  // Signed, but what is signed are no claims.
  const JwtVerifier verifier({}, *keys);
  CHECK(error_of(verifier.verify(text + "." + signature, now)) == "malformed token claims");
}

TEST_CASE("A token does not choose how it is checked") {
  const Signer rsa(Algorithm::rs256);
  const JwtVerifier verifier = verifier_of(rsa);
  // The public key as a secret: the oldest attack there is.
  const std::string pem = rsa.public_pem();
  const std::string text = base64url(R"({"alg":"HS256"})") + "." + base64url(claims);
  const auto forged_key = VerificationKey::from_secret(to_bytes(pem));
  REQUIRE(forged_key.ok());
  const auto mac = [&](std::string_view secret) {
    const Digest digest = hmac_sha256(as_bytes(secret), as_bytes(text));
    return encode_base64url(digest);
  };
  CHECK(error_of(verifier.verify(text + "." + mac(pem), now)) == "invalid token signature");
  CHECK(error_of(verifier.verify(text + "." + mac(""), now)) == "invalid token signature");
  CHECK(!parse_secret(pem).ok());
  // Names of algorithms that are not the four, or not written like them.
  for (const char* name :
       {"none", "None", "NONE", "hs256", "HS384", "PS256", "ES256K", "Ed25519", "", "HS256 "}) {
    INFO(name);
    const std::string header = R"({"alg":")" + std::string(name) + "\"}";
    CHECK(error_of(verifier_of(hs256()).verify(hs256().token(header, claims), now)) ==
          "token algorithm not supported");
  }
  for (const char* header : {R"({})", R"({"alg":null})", R"({"alg":["HS256"]})"}) {
    CHECK(error_of(verifier_of(hs256()).verify(hs256().token(header, claims), now)) ==
          "token algorithm not supported");
  }
  // A key that the token brings along.
  const Signer attacker(Algorithm::es256);
  const std::string header = R"({"alg":"ES256","jwk":)" + attacker.jwk() + "}";
  CHECK(
      error_of(verifier_of(Signer(Algorithm::es256)).verify(attacker.token(header, claims), now)) ==
      "invalid token signature");
}

TEST_CASE("An ES256 signature is r and s, not DER, and zeros are none") {
  const Signer signer(Algorithm::es256);
  const JwtVerifier verifier = verifier_of(signer);
  const std::string token = signer.token(claims);
  const std::string start = token.substr(0, token.rfind('.') + 1);
  Bytes raw = decoded(token.substr(start.size()));
  Bytes der{0x30, 0x44, 0x02, 0x20};
  append(der, ByteView(raw).first(32));
  der.insert(der.end(), {0x02, 0x20});
  append(der, ByteView(raw).subspan(32));
  CHECK(!verifier.verify(start + encode_base64url(der), now).ok());
  CHECK(!verifier.verify(start + encode_base64url(Bytes(64, 0)), now).ok());
  CHECK(!verifier.verify(start + encode_base64url(Bytes(64, 0xff)), now).ok());
}

TEST_CASE("Malformed tokens") {
  const JwtVerifier verifier = verifier_of(hs256());
  const std::string good = hs256().token(claims);
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), std::string("abc"), good + ".x",
        "." + good, good.substr(good.find('.')), good + "=", good + "A", " " + good, good + "\n",
        std::string(3, '\0'), std::string("\xff\xfe.\xff.\xff")}) {
    INFO(token);
    CHECK(!verifier.verify(token, now).ok());
  }
  CHECK(!JwtVerifier::looks_like_token("abc"));
  CHECK(!JwtVerifier::looks_like_token(".."));
  CHECK(error_of(verifier.verify("a.b", now)) == "malformed token");
  CHECK(error_of(verifier.verify("e30K.e30K.!", now)) == "token algorithm not supported");
  // Bits that stand for nothing: another text for the same signature.
  const std::string other =
      good.substr(0, good.size() - 1) + std::string(1, static_cast<char>(good.back() + 1));
  CHECK(error_of(verifier.verify(other, now)) != "");
  // Too large, though well signed.
  const std::string large =
      R"({"account_id":"a","exp":1700000060,"x":")" + std::string(20'000, 'x') + "\"}";
  CHECK(error_of(verifier.verify(hs256().token(large), now)) == "token too large");
}

TEST_CASE("Headers that are not taken") {
  const JwtVerifier verifier = verifier_of(hs256());
  const auto refusal = [&](std::string_view header) {
    return error_of(verifier.verify(hs256().token(header, claims), now));
  };
  CHECK(refusal(R"({"alg":"HS256","crit":["exp"],"exp":1})") == "token with critical extensions");
  CHECK(refusal(R"({"alg":"HS256","crit":[]})") == "token with critical extensions");
  CHECK(refusal(R"({"alg":"HS256","alg":"HS256"})") == "malformed token header");
  CHECK(refusal(R"({"alg":"none","\u0061lg":"HS256"})") == "malformed token header");
  CHECK(refusal(R"(["alg","HS256"])") == "malformed token header");
  CHECK(refusal(R"({"alg":"HS256"} x)") == "malformed token header");
  CHECK(refusal(R"({"alg":"HS256","kid":7})") == "malformed token header");
  CHECK(refusal(std::string(1000, '[')) == "malformed token header");
}

TEST_CASE("Claims that are not taken") {
  const JwtVerifier verifier = verifier_of(hs256());
  const auto refusal = [&](std::string_view text) {
    return error_of(verifier.verify(hs256().token(text), now));
  };
  CHECK(refusal(R"({"account_id":"a","account_id":"b","exp":1700000060})") ==
        "malformed token claims");
  CHECK(refusal(R"({"account_id":"a","exp":1700000060,"\u0065xp":1800000000})") ==
        "malformed token claims");
  CHECK(refusal(R"("text")") == "malformed token claims");
  CHECK(refusal("") == "malformed token claims");
  CHECK(refusal("{\"account_id\":\"\xff\"}") == "malformed token claims");
  CHECK(refusal(R"({"exp":1700000060})") == "token claims: none of account_id, project_id, hub_id");
  CHECK(refusal(R"({"exp":1700000060,"account_id":"a","hub_id":"h"})") ==
        "token claims: more than one of account, project and hub");
  for (const char* id : {R"("")", R"("a.b")", R"("*")", R"(">")", R"("a b")", R"("a\nb")",
                         R"("a\u0000b")", "1", "{}", "true", R"("a\u00a0b")", R"("a*")"}) {
    INFO(id);
    CHECK(refusal(R"({"exp":1700000060,"account_id":)" + std::string(id) + "}") ==
          "token claims: invalid account_id");
  }
  CHECK(refusal(R"({"exp":1700000060,"account_id":")" + std::string(300, 'a') + "\"}") ==
        "token claims: invalid account_id");
  const std::string account = R"({"exp":1700000060,"account_id":"a",)";
  CHECK(refusal(account + R"("admin":"true"})") == "token claims: admin must be true or false");
  CHECK(refusal(account + R"("admin":1})") == "token claims: admin must be true or false");
  CHECK(refusal(account + R"("projects":"p"})") ==
        "token claims: projects must be an array of ids");
  CHECK(refusal(account + R"("projects":["p",">"]})") == "token claims: invalid id in projects");
}

TEST_CASE("The three kinds of users, and claims under other names") {
  const JwtVerifier verifier = verifier_of(hs256());
  const auto user = [&](std::string_view text) {
    return user_of(verifier.verify(hs256().token(text), now));
  };
  CHECK(user(R"({"account_id":"00000000-0000-4000-8000-000000000001","exp":1700000060})") ==
        R"({"account_id":"00000000-0000-4000-8000-000000000001"})");
  CHECK(user(R"({"project_id":"p","exp":1700000060,"sub":"x"})") == R"({"project_id":"p"})");
  CHECK(user(R"({"hub_id":"h","account_id":null,"exp":1700000060})") == R"({"hub_id":"h"})");
  JwtOptions options;
  options.claims = {"sub", "https://example.com/project", "hub", "https://example.com/admin",
                    "groups"};
  const Outcome outcome =
      verifier_of(hs256(), options)
          .verify(
              hs256().token(
                  R"({"sub":"s","account_id":"x","exp":1700000060,"https://example.com/admin":true,"groups":["g"]})"),
              now);
  CHECK(user_of(outcome) == R"({"account_id":"s"})");
  REQUIRE(outcome.ok());
  CHECK(outcome->rights.is_admin);
  CHECK(outcome->rights.projects == std::vector<std::string>{"g"});
}

TEST_CASE("Times: exp, nbf, leeway") {
  const auto verify = [&](std::string_view text, JwtOptions options = {}) {
    return verifier_of(hs256(), std::move(options)).verify(hs256().token(text), now);
  };
  CHECK(error_of(verify(R"({"account_id":"a","exp":1700000000})")) == "token expired");
  CHECK(verify(R"({"account_id":"a","exp":1700000000.001})").ok());
  CHECK(verify(R"({"account_id":"a","exp":1.70000006e9})").ok());
  CHECK(error_of(verify(R"({"account_id":"a"})")) == "token without expiry");
  for (const char* exp : {R"("1700000060")", "null", "-1", "1e400", "true", "[]"}) {
    INFO(exp);
    CHECK(!verify(R"({"account_id":"a","exp":)" + std::string(exp) + "}").ok());
  }
  const Outcome far = verify(R"({"account_id":"a","exp":9999999999999999999})");
  REQUIRE(far.ok());
  CHECK(far->expires_at == 8'640'000'000'000'000);
  CHECK(error_of(verify(R"({"account_id":"a","exp":1700000060,"nbf":1700000001})")) ==
        "token not valid yet");
  CHECK(verify(R"({"account_id":"a","exp":1700000060,"nbf":1700000000})").ok());
  CHECK(error_of(verify(R"({"account_id":"a","exp":1700000060,"nbf":"x"})")) ==
        "token claims: invalid nbf");
  JwtOptions lenient;
  lenient.require_expiry = false;
  lenient.clock_leeway_ms = 5000;
  const Outcome forever = verify(R"({"account_id":"a"})", lenient);
  REQUIRE(forever.ok());
  CHECK(!forever->expires_at);
  const Outcome late = verify(R"({"account_id":"a","exp":1699999996,"nbf":1700000005})", lenient);
  REQUIRE(late.ok());
  CHECK(late->expires_at == now + 1000);
  CHECK(error_of(verify(R"({"account_id":"a","exp":1699999995})", lenient)) == "token expired");
}

TEST_CASE("Issuer and audience") {
  JwtOptions options;
  options.issuers = {"me", "you"};
  options.audiences = {"conat"};
  const auto verify = [&](std::string_view rest) {
    return verifier_of(hs256(), options)
        .verify(hs256().token(R"({"account_id":"a","exp":1700000060)" + std::string(rest) + "}"),
                now);
  };
  CHECK(verify(R"(,"iss":"me","aud":"conat")").ok());
  CHECK(verify(R"(,"iss":"you","aud":["x","conat"])").ok());
  CHECK(error_of(verify(R"(,"aud":"conat")")) == "token of another issuer");
  CHECK(error_of(verify(R"(,"iss":"Me","aud":"conat")")) == "token of another issuer");
  CHECK(error_of(verify(R"(,"iss":["me"],"aud":"conat")")) == "token of another issuer");
  CHECK(error_of(verify(R"(,"iss":"me")")) == "token for another audience");
  CHECK(error_of(verify(R"(,"iss":"me","aud":["x"])")) == "token for another audience");
  CHECK(error_of(verify(R"(,"iss":"me","aud":{"conat":1})")) == "token for another audience");
}

}  // namespace conat::auth
