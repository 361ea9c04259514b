#include "auth/password_hash.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>

#include "auth/encoding.hpp"
#include "auth/invalid.hpp"

namespace conat::auth {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kMinStoredBytes = 8;
constexpr std::size_t kMaxStoredBytes = 128;
constexpr std::string_view kPrefix = "$scrypt$";
constexpr std::string_view kTokenPrefix = "sha256:";

std::size_t memory_of(const ScryptCost& cost) {
  return (std::size_t{128} * cost.r << cost.log_n) + std::size_t{128} * cost.r * cost.p;
}

bool stretch(std::string_view password, ByteView salt, const ScryptCost& cost, Bytes& out) {
  constexpr std::size_t overhead = 1u << 20;
  return EVP_PBE_scrypt(password.data(), password.size(), salt.data(), salt.size(),
                        std::uint64_t{1} << cost.log_n, cost.r, cost.p, memory_of(cost) + overhead,
                        out.data(), out.size()) == 1;
}

// "name=<number>" at the front, and the comma behind it.
bool take_number(std::string_view& text, std::string_view name, unsigned& number) {
  if (text.substr(0, name.size()) != name || text.substr(name.size(), 1) != "=") return false;
  text.remove_prefix(name.size() + 1);
  const std::string_view digits = text.substr(0, text.find(','));
  text.remove_prefix(std::min(text.size(), digits.size() + 1));
  if (digits.empty() || digits.size() > 6 || digits[0] == '0') return false;
  number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  return true;
}

bool parse_cost(std::string_view text, ScryptCost& cost) {
  return take_number(text, "ln", cost.log_n) && take_number(text, "r", cost.r) &&
         take_number(text, "p", cost.p) && text.empty();
}

bool is_bearable(const ScryptCost& cost) {
  return cost.log_n <= max_scrypt_log_n && cost.r <= 1024 && cost.p <= max_scrypt_parallelism &&
         memory_of(cost) <= max_scrypt_memory_bytes;
}

}  // namespace

PasswordHash PasswordHash::of(std::string_view password, ScryptCost cost) {
  PasswordHash result;
  result.cost_ = cost;
  result.salt_ = random_bytes(kSaltBytes);
  result.hash_.resize(kHashBytes);
  if (!is_bearable(cost) || !stretch(password, result.salt_, cost, result.hash_)) std::abort();
  return result;
}

PasswordHash PasswordHash::unmatched(ScryptCost cost) {
  PasswordHash result;
  result.cost_ = cost;
  result.salt_ = random_bytes(kSaltBytes);
  result.hash_ = random_bytes(kHashBytes);
  return result;
}

Result<PasswordHash> PasswordHash::parse(std::string_view text) {
  if (text.substr(0, kPrefix.size()) != kPrefix) {
    return invalid("a password hash begins with $scrypt$");
  }
  text.remove_prefix(kPrefix.size());
  const std::size_t first = text.find('$');
  const std::size_t second = first == std::string_view::npos ? first : text.find('$', first + 1);
  PasswordHash result;
  if (second == std::string_view::npos || !parse_cost(text.substr(0, first), result.cost_)) {
    return invalid("a password hash has the form $scrypt$ln=15,r=8,p=1$<salt>$<hash>");
  }
  if (!is_bearable(result.cost_)) return invalid("the costs of a password hash are too high");
  auto salt = decode_base64(text.substr(first + 1, second - first - 1));
  auto hash = decode_base64(text.substr(second + 1));
  const auto fits = [](const std::optional<Bytes>& bytes) {
    return bytes && bytes->size() >= kMinStoredBytes && bytes->size() <= kMaxStoredBytes;
  };
  if (!fits(salt) || !fits(hash)) {
    return invalid("salt and hash of a password hash are base64 without padding, 8 to 128 bytes");
  }
  result.salt_ = std::move(*salt);
  result.hash_ = std::move(*hash);
  return result;
}

std::string PasswordHash::text() const {
  return std::string(kPrefix) + "ln=" + std::to_string(cost_.log_n) +
         ",r=" + std::to_string(cost_.r) + ",p=" + std::to_string(cost_.p) + "$" +
         encode_base64(salt_) + "$" + encode_base64(hash_);
}

bool PasswordHash::matches(std::string_view password) const {
  Bytes hash(hash_.size());
  return password.size() <= max_password_bytes && stretch(password, salt_, cost_, hash) &&
         equal_in_constant_time(hash, hash_);
}

std::string stored_token(std::string_view token) {
  return std::string(kTokenPrefix) + encode_hex(sha256(as_bytes(token)));
}

Result<Digest> parse_stored_token(std::string_view text) {
  if (text.substr(0, kTokenPrefix.size()) == kTokenPrefix) {
    const auto bytes = decode_hex(text.substr(kTokenPrefix.size()));
    Digest digest{};
    if (bytes && bytes->size() == digest.size()) {
      std::copy(bytes->begin(), bytes->end(), digest.begin());
      return digest;
    }
  }
  return invalid("a stored token has the form sha256:<64 hexadecimal digits in lower case>");
}

}  // namespace conat::auth
