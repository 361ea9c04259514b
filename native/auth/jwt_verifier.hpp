// JSON Web Tokens (RFC 7519) signed with HS256, RS256, ES256 or EdDSA (Ed25519): checked, and their
// claims turned into a user.
//
// Which key checks a token: those of the algorithm that its header names, and, when the header
// names a key (`kid`), of these the one of that name and those without a name. Nothing else in a
// header chooses anything: keys inside of tokens or behind addresses in them are never used, a
// header with `crit` is refused, and so is whatever a strict reader would not accept (other base64
// alphabets, padding, members that come twice).
//
// Thread safety: verify() and reload() may be called from any thread at the same time; a verify()
// that runs during a reload uses the old keys or the new ones. Checking takes 20 to 200
// microseconds.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/file_content.hpp"
#include "auth/key_files.hpp"
#include "auth/outcome.hpp"
#include "auth/user_claims.hpp"

namespace conat::auth {

struct JwtOptions {
  std::vector<KeyFile> key_files;
  ClaimNames claims;
  // Tokens without `exp` are refused.
  bool require_expiry = true;
  // How much the clock of the issuer may differ from ours. Expiry comes this much later, too.
  std::int64_t clock_leeway_ms = 0;
  // `iss` must be one of them; empty: not looked at.
  std::vector<std::string> issuers;
  // `aud` must hold one of them; empty: not looked at.
  std::vector<std::string> audiences;
  std::size_t max_token_bytes = 16 * 1024;
};

class JwtVerifier {
 public:
  // Keys from options.key_files; the error's text names the file and what is wrong with it.
  static Result<std::unique_ptr<JwtVerifier>> open(JwtOptions options);
  // Keys as given: reload() has nothing to do.
  JwtVerifier(JwtOptions options, std::vector<VerificationKey> keys);

  // Whether a text has the form of a token (three parts), so that it is worth verifying here.
  static bool looks_like_token(std::string_view text);

  // `now` is the wall clock's.
  Outcome verify(std::string_view token, UnixMs now) const;

  // Reads all files again. On an error the keys stay as they were.
  Status reload();
  // The same if a file has changed since it was read last (or tried to); tells whether one had.
  Result<bool> reload_if_changed();

  // Files of keys as they are now; see stamp_of().
  std::vector<FileStamp> stamps() const;

  std::size_t keys() const { return current_keys()->size(); }
  bool has_key(const Digest& fingerprint) const;

 private:
  using Keys = std::vector<VerificationKey>;

  std::shared_ptr<const Keys> current_keys() const;
  Status load();
  // The fingerprint of the key that it is signed with.
  std::optional<Digest> signer_of(std::string_view token_start, ByteView signature,
                                  Algorithm algorithm, const Value* key_id) const;
  Outcome read_claims(const Value& claims, UnixMs now) const;
  Status check_times(const Value& claims, UnixMs now, std::optional<UnixMs>& expires_at) const;
  Status check_parties(const Value& claims) const;

  JwtOptions options_;
  mutable std::mutex keys_mutex_;  // held only to copy or replace the pointer
  std::shared_ptr<const Keys> keys_;
  std::mutex reload_mutex_;
  std::vector<FileStamp> stamps_;
};

}  // namespace conat::auth
