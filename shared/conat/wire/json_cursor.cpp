#include "conat/wire/json_cursor.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "conat/base/bytes.hpp"
#include "conat/wire/json_number.hpp"
#include "conat/wire/utf8.hpp"

namespace conat {
namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101u;
constexpr std::uint64_t kHighBits = 0x8080808080808080u;
constexpr std::string_view kPlaceholder = R"({"_placeholder":true,"num":)";
constexpr std::string_view kPlaceholderKey = "_placeholder";

// Sets the high bits of bytes that equal `c`: of the lowest one for sure, and of none below it.
std::uint64_t bytes_equal(std::uint64_t word, char c) {
  const std::uint64_t difference = word ^ (kOnes * static_cast<std::uint8_t>(c));
  return (difference - kOnes) & ~difference & kHighBits;
}

bool is_special(char c) { return c == '"' || c == '\\' || static_cast<std::uint8_t>(c) < 0x20; }

// The first quote, backslash or control character at or after `p`. `ascii` turns false when
// something before it (or shortly behind) is not ASCII.
const char* find_special(const char* p, const char* end, bool& ascii) {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i last_control = _mm_set1_epi8(0x1f);
  for (; end - p >= 16; p += 16) {
    const __m128i piece = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(piece, last_control), piece);
    const __m128i special = _mm_or_si128(
        control, _mm_or_si128(_mm_cmpeq_epi8(piece, quote), _mm_cmpeq_epi8(piece, backslash)));
    ascii = ascii && _mm_movemask_epi8(piece) == 0;
    const auto found = static_cast<unsigned>(_mm_movemask_epi8(special));
    if (found != 0) return p + std::countr_zero(found);
  }
#endif
  for (; end - p >= 8; p += 8) {
    std::uint64_t word;
    std::memcpy(&word, p, sizeof word);
    const std::uint64_t control = (word - kOnes * 0x20) & ~word & kHighBits;
    ascii = ascii && (word & kHighBits) == 0;
    if ((bytes_equal(word, '"') | bytes_equal(word, '\\') | control) != 0) break;
  }
  for (; p != end && !is_special(*p); ++p) ascii = ascii && static_cast<std::uint8_t>(*p) < 0x80;
  return p;
}

const char* find_special(const char* p, const char* end) {
  bool ascii = true;
  return find_special(p, end, ascii);
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Four hexadecimal digits, which the scanner has seen.
std::uint32_t hex_value(const char* p) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 4 | static_cast<std::uint32_t>(hex_digit(p[i]));
  return value;
}

}  // namespace

JsonText JsonCursor::read_text() {
  if (!expect('"')) return {};
  JsonText text;
  const char* const start = at_;
  while (true) {
    at_ = find_special(at_, end_);
    if (at_ != end_ && *at_ == '"') break;
    text.escaped = true;
    if (!read_escape()) return fail(), JsonText{};
  }
  text.raw = {start, static_cast<std::size_t>(at_ - start)};
  ++at_;
  return text;
}

bool JsonCursor::read_escape() {
  if (end_ - at_ < 2 || *at_ != '\\') return false;
  const char kind = at_[1];
  at_ += 2;
  if (kind != 'u') return kind != '\0' && std::strchr("\"\\/bfnrt", kind) != nullptr;
  if (end_ - at_ < 4) return false;
  at_ += 4;
  return std::all_of(at_ - 4, at_, [](char c) { return hex_digit(c) >= 0; });
}

std::string_view JsonCursor::read_number() {
  const char* const start = at_;
  const auto digits = [&] {
    const char* const first = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    return at_ != first;
  };
  if (!ok_) return {};
  if (at_ != end_ && *at_ == '-') ++at_;
  if (at_ != end_ && *at_ == '0') {
    ++at_;
  } else if (!digits()) {
    return fail(), std::string_view{};
  }
  if (at_ != end_ && *at_ == '.') {
    ++at_;
    if (!digits()) return fail(), std::string_view{};
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    if (!digits()) return fail(), std::string_view{};
  }
  return {start, static_cast<std::size_t>(at_ - start)};
}

bool JsonCursor::take_word(std::string_view word) {
  if (!ok_ || !rest().starts_with(word)) return false;
  at_ += word.size();
  return true;
}

bool JsonCursor::take_placeholder(std::uint32_t& number) {
  if (!ok_ || !rest().starts_with(kPlaceholder)) return false;
  const char* p = at_ + kPlaceholder.size();
  std::uint32_t value = 0;
  int digits = 0;
  while (p != end_ && is_digit(*p) && digits < 4) {
    value = value * 10 + static_cast<std::uint32_t>(*p++ - '0');
    ++digits;
  }
  const bool leading_zero = digits > 1 && at_[kPlaceholder.size()] == '0';
  if (digits == 0 || leading_zero || p == end_ || *p != '}') return false;
  at_ = p + 1;
  number = value;
  return true;
}

bool JsonCursor::skip_scalar() {
  const char first = peek();
  if (first >= '1' && first <= '9') {
    // Most numbers are whole: only what could continue them takes the long way.
    const char* p = at_ + 1;
    while (p != end_ && is_digit(*p)) ++p;
    if (p == end_ || (*p != '.' && *p != 'e' && *p != 'E')) {
      at_ = p;
      return ok_;
    }
  }
  switch (first) {
    case '"':
      read_text();
      return ok_;
    case 't':
      return take_word("true");
    case 'f':
      return take_word("false");
    case 'n':
      return take_word("null");
    default:
      read_number();
      return ok_;
  }
}

// A key with its colon.
void JsonCursor::skip_key(PlaceholderScan* placeholders) {
  skip_space();
  const JsonText key = read_text();
  skip_space();
  expect(':');
  if (placeholders != nullptr && (key.escaped || key.raw == kPlaceholderKey)) {
    placeholders->irregular = true;
  }
}

std::string_view JsonCursor::skip(std::size_t max_depth, PlaceholderScan* placeholders) {
  skip_space();
  const char* const start = at_;
  std::array<char, kDeepest> closing;  // what ends each open level
  std::size_t depth = 0;
  max_depth = std::min(max_depth, kDeepest);
  while (ok_) {
    skip_space();
    const char first = peek();
    std::uint32_t number = 0;
    if (first == '{' && placeholders != nullptr && take_placeholder(number)) {
      if (number == placeholders->in_order) {
        ++placeholders->in_order;
      } else {
        placeholders->irregular = true;
      }
    } else if (first == '{' || first == '[') {
      if (depth == max_depth) break;
      ++at_;
      skip_space();
      closing[depth++] = first == '{' ? '}' : ']';
      if (peek() != closing[depth - 1]) {
        if (first == '{') skip_key(placeholders);
        continue;
      }
    } else if (!skip_scalar()) {
      break;
    }
    // A value is complete: close what it completes, up to the next comma.
    while (depth > 0) {
      skip_space();
      if (take(',')) {
        if (closing[depth - 1] == '}') skip_key(placeholders);
        break;
      }
      if (!expect(closing[depth - 1])) return {};
      --depth;
    }
    if (depth == 0) return {start, static_cast<std::size_t>(at_ - start)};
  }
  fail();
  return {};
}

void unescape_json(std::string_view raw, std::string& out) {
  const char* p = raw.data();
  const char* const end = p + raw.size();
  while (p != end) {
    const char* const run = p;
    while (p != end && *p != '\\') ++p;
    out.append(run, static_cast<std::size_t>(p - run));
    if (p == end) return;
    const char kind = p[1];
    p += 2;
    switch (kind) {
      case 'b':
        out.push_back('\b');
        break;
      case 'f':
        out.push_back('\f');
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 'r':
        out.push_back('\r');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'u': {
        std::uint32_t unit = hex_value(p);
        p += 4;
        const bool pair = unit >= 0xd800 && unit < 0xdc00 && end - p >= 6 && p[0] == '\\' &&
                          p[1] == 'u' && (hex_value(p + 2) & 0xfc00) == 0xdc00;
        if (pair) {
          unit = 0x10000 + ((unit & 0x3ff) << 10) + (hex_value(p + 2) & 0x3ff);
          p += 6;
        }
        append_code_point(out, unit);
        break;
      }
      default:
        out.push_back(kind);  // a quote, a slash or a backslash
    }
  }
}

void append_json_text(std::string& out, std::string_view text) {
  if (!is_utf8(as_bytes(text))) {
    std::string repaired;
    append_repaired_utf8(repaired, text);
    return append_json_text(out, repaired);
  }
  out.push_back('"');
  const char* p = text.data();
  const char* const end = p + text.size();
  while (true) {
    const char* const run = p;
    p = find_special(p, end);
    out.append(run, static_cast<std::size_t>(p - run));
    if (p == end) break;
    const char special = *p++;
    constexpr char kHex[] = "0123456789abcdef";
    const auto code = static_cast<std::uint8_t>(special);
    out.push_back('\\');
    switch (special) {
      case '\b':
        out.push_back('b');
        break;
      case '\f':
        out.push_back('f');
        break;
      case '\n':
        out.push_back('n');
        break;
      case '\r':
        out.push_back('r');
        break;
      case '\t':
        out.push_back('t');
        break;
      case '"':
      case '\\':
        out.push_back(special);
        break;
      default:
        out.append("u00");
        out.push_back(kHex[code >> 4]);
        out.push_back(kHex[code & 15]);
    }
  }
  out.push_back('"');
}

bool is_plain_json_text(std::string_view text) {
  const char* const end = text.data() + text.size();
  bool ascii = true;
  return find_special(text.data(), end, ascii) == end && (ascii || is_utf8(as_bytes(text)));
}

}  // namespace conat
