#include "conat/subject/subject.hpp"

#include <array>
#include <cstdint>

#include "conat/base/limits.hpp"

namespace conat {
namespace {

enum class ByteClass : std::uint8_t { ordinary, dot, star, space, multibyte };

constexpr std::array<ByteClass, 256> make_byte_classes() {
  std::array<ByteClass, 256> classes{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    ByteClass kind = ByteClass::ordinary;
    if (byte == '.') kind = ByteClass::dot;
    if (byte == '*') kind = ByteClass::star;
    if ((byte >= 0x09 && byte <= 0x0d) || byte == ' ') kind = ByteClass::space;
    if (byte >= 0x80) kind = ByteClass::multibyte;
    classes[byte] = kind;
  }
  return classes;
}

constexpr std::array<ByteClass, 256> kByteClasses = make_byte_classes();

// JavaScript's \s beyond ASCII.
bool is_wide_space(std::uint32_t point) {
  return point == 0x00a0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200a) ||
         point == 0x2028 || point == 0x2029 || point == 0x202f || point == 0x205f ||
         point == 0x3000 || point == 0xfeff;
}

// Bytes of the well-formed UTF-8 sequence at `position` that encodes no white space; 0 otherwise.
std::size_t multibyte_length(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t index) { return static_cast<std::uint8_t>(text[index]); };
  const std::uint8_t lead = byte(position);
  std::size_t length = 0;
  std::uint32_t smallest = 0;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
    smallest = 0x80;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    smallest = 0x800;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    smallest = 0x10000;
  } else {
    return 0;
  }
  if (text.size() - position < length) return 0;
  std::uint32_t point = lead & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(position + i) & 0xc0) != 0x80) return 0;
    point = point << 6 | (byte(position + i) & 0x3fu);
  }
  const bool surrogate = point >= 0xd800 && point <= 0xdfff;
  if (point < smallest || point > 0x10ffff || surrogate || is_wide_space(point)) return 0;
  return length;
}

// Tokens that are neither empty nor hold white space, joined by dots.
bool has_valid_tokens(std::string_view text, bool stars_allowed) {
  if (text.empty() || text.size() > limits::max_subject_bytes) return false;
  bool token_empty = true;
  for (std::size_t i = 0; i < text.size();) {
    switch (kByteClasses[static_cast<std::uint8_t>(text[i])]) {
      case ByteClass::ordinary:
        break;
      case ByteClass::star:
        if (!stars_allowed) return false;
        break;
      case ByteClass::dot:
        if (token_empty) return false;
        token_empty = true;
        ++i;
        continue;
      case ByteClass::space:
        return false;
      case ByteClass::multibyte: {
        const std::size_t length = multibyte_length(text, i);
        if (length == 0) return false;
        i += length - 1;
        break;
      }
    }
    token_empty = false;
    ++i;
  }
  return !token_empty;
}

}  // namespace

bool is_valid_subject(std::string_view subject) {
  return has_valid_tokens(subject, false) && subject.back() != '>';
}

bool is_valid_pattern(std::string_view pattern) {
  if (!has_valid_tokens(pattern, true)) return false;
  // The token '>' stands only at the end.
  return pattern.find(".>.") == std::string_view::npos && !pattern.starts_with(">.");
}

bool has_wildcards(std::string_view pattern) {
  TokenReader tokens(pattern);
  while (tokens.next()) {
    if (tokens.token() == "*" || tokens.token() == ">") return true;
  }
  return false;
}

bool pattern_matches(std::string_view pattern, std::string_view subject) {
  TokenReader wanted(pattern);
  TokenReader given(subject);
  while (wanted.next()) {
    if (!given.next()) return false;
    if (wanted.token() == ">" && wanted.at_end()) return true;
    if (wanted.token() != "*" && wanted.token() != given.token()) return false;
  }
  return given.at_end();
}

bool pattern_covers(std::string_view outer, std::string_view inner) {
  TokenReader wanted(outer);
  TokenReader given(inner);
  while (wanted.next()) {
    if (!given.next()) return false;
    if (wanted.token() == ">" && wanted.at_end()) return true;
    if (given.token() == ">" && given.at_end()) return false;
    if (wanted.token() != "*" && wanted.token() != given.token()) return false;
  }
  return given.at_end();
}

bool patterns_overlap(std::string_view one, std::string_view other) {
  TokenReader left(one);
  TokenReader right(other);
  while (left.next()) {
    if (!right.next()) return false;
    const bool left_rest = left.token() == ">" && left.at_end();
    const bool right_rest = right.token() == ">" && right.at_end();
    // What is left of the other has at least this token, which `>` matches with all that follow.
    if (left_rest || right_rest) return true;
    if (left.token() != "*" && right.token() != "*" && left.token() != right.token()) return false;
  }
  return right.at_end();
}

std::vector<std::string_view> split_tokens(std::string_view subject) {
  std::vector<std::string_view> tokens;
  TokenReader reader(subject);
  while (reader.next()) tokens.push_back(reader.token());
  return tokens;
}

}  // namespace conat
