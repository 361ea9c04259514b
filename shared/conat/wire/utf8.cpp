#include "conat/wire/utf8.hpp"

#include <cstring>

namespace conat {
namespace {

constexpr std::uint64_t kUtf8HighBits = 0x8080808080808080u;

bool is_continuation(std::uint8_t byte) { return (byte & 0xc0) == 0x80; }

// The length of the well-formed sequence of two bytes or more at `p`, or 0.
std::size_t sequence_length(const std::uint8_t* p, std::size_t left) {
  const std::uint8_t lead = p[0];
  if (lead < 0xc2 || lead > 0xf4 || left < 2) return 0;
  if (lead < 0xe0) return is_continuation(p[1]) ? 2 : 0;
  if (lead < 0xf0) {
    const std::uint8_t low = lead == 0xe0 ? 0xa0 : 0x80;   // no overlong forms
    const std::uint8_t high = lead == 0xed ? 0x9f : 0xbf;  // no surrogates
    return left >= 3 && p[1] >= low && p[1] <= high && is_continuation(p[2]) ? 3 : 0;
  }
  const std::uint8_t low = lead == 0xf0 ? 0x90 : 0x80;
  const std::uint8_t high = lead == 0xf4 ? 0x8f : 0xbf;
  return left >= 4 && p[1] >= low && p[1] <= high && is_continuation(p[2]) && is_continuation(p[3])
             ? 4
             : 0;
}

// The first byte at or after `p` that is not ASCII, looking at eight at a time.
const std::uint8_t* skip_ascii(const std::uint8_t* p, const std::uint8_t* end) {
  while (end - p >= 16) {
    std::uint64_t words[2];
    std::memcpy(words, p, sizeof words);
    if (((words[0] | words[1]) & kUtf8HighBits) != 0) break;
    p += 16;
  }
  while (p != end && *p < 0x80) ++p;
  return p;
}

}  // namespace

bool is_utf8(ByteView bytes) {
  const std::uint8_t* p = bytes.data();
  const std::uint8_t* const end = p + bytes.size();
  while (true) {
    p = skip_ascii(p, end);
    // Text in other scripts comes in runs: stay here as long as it lasts.
    while (p != end && *p >= 0x80) {
      const std::size_t length = sequence_length(p, static_cast<std::size_t>(end - p));
      if (length == 0) return false;
      p += length;
    }
    if (p == end) return true;
  }
}

void append_repaired_utf8(std::string& out, std::string_view text) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::uint8_t* const end = p + text.size();
  while (p != end) {
    const std::uint8_t* const run = p;
    p = skip_ascii(p, end);
    std::size_t length = 1;
    while (p != end && *p >= 0x80 && length != 0) {
      length = sequence_length(p, static_cast<std::size_t>(end - p));
      p += length;
    }
    out.append(reinterpret_cast<const char*>(run), static_cast<std::size_t>(p - run));
    if (length == 0) {
      append_code_point(out, 0xfffd);
      ++p;
    }
  }
}

void append_code_point(std::string& out, std::uint32_t code_point) {
  if (code_point > 0x10ffff || (code_point >= 0xd800 && code_point < 0xe000)) code_point = 0xfffd;
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
    put(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  } else {
    put(0xf0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3f));
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  }
}

}  // namespace conat
