// A message's headers, kept as the MessagePack bytes of a map (or of any other JSON value that a
// foreign client sent), so that they cross layers and the JavaScript boundary without being
// decoded. Empty bytes mean "no headers".
//
// Thread safety: plain values and pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "conat/base/bytes.hpp"
#include "conat/base/value.hpp"

namespace conat {

namespace header {
inline constexpr std::string_view reply = "CN-Reply";
inline constexpr std::string_view socket_command = "CN-SocketCmd";
inline constexpr std::string_view socket_sequence = "CN-SocketSeq";
inline constexpr std::string_view tombstone = "CN-Tombstone";
}  // namespace header

class Headers {
 public:
  Headers() = default;
  explicit Headers(Bytes encoded) : encoded_(std::move(encoded)) {}
  // From a decoded value; null gives empty headers.
  explicit Headers(const Value& value);

  bool empty() const { return encoded_.empty(); }
  const Bytes& encoded() const { return encoded_; }
  // Decoded whole; null when empty or malformed.
  Value value() const;

  // One entry without decoding the others; nullopt when it is absent or of another type.
  std::optional<std::string_view> text(std::string_view key) const;
  std::optional<std::uint64_t> number(std::string_view key) const;
  std::optional<Value> get(std::string_view key) const;
  bool has(std::string_view key) const;

  // Replaces or appends. Headers that are no map become one.
  void set(std::string_view key, const Value& value);
  void erase(std::string_view key);

 private:
  Bytes encoded_;
};

}  // namespace conat
