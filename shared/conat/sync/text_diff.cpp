#include "conat/sync/text_diff.hpp"

#include <algorithm>
#include <cstdint>
#include <unordered_map>

#include "conat/sync/sequence_diff.hpp"

namespace conat {
namespace {

enum class Granularity { words, lines };

constexpr std::size_t kMaxWordDifferences = 1000;
constexpr std::size_t kMaxLineDifferences = 1000;
constexpr std::size_t kMaxCharacterDifferences = 200;

// The bytes of the code point at `position`; a byte that starts none counts alone.
std::size_t code_point_size(std::string_view text, std::size_t position) {
  const auto lead = static_cast<std::uint8_t>(text[position]);
  std::size_t size = 1;
  if (lead >= 0xc2 && lead < 0xe0) size = 2;
  if (lead >= 0xe0 && lead < 0xf0) size = 3;
  if (lead >= 0xf0 && lead < 0xf5) size = 4;
  if (position + size > text.size()) return 1;
  for (std::size_t i = 1; i < size; ++i) {
    if ((static_cast<std::uint8_t>(text[position + i]) & 0xc0) != 0x80) return 1;
  }
  return size;
}

enum class Class { word, space, alone };

Class class_of(std::string_view text, std::size_t position, std::size_t size) {
  const auto byte = static_cast<std::uint8_t>(text[position]);
  if (size == 1) {
    const bool letter = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= 'a' && byte <= 'z') || byte == '_';
    if (letter) return Class::word;
    return byte == ' ' || byte == '\t' ? Class::space : Class::alone;
  }
  // From U+2E80 on scripts are written without spaces: one token for each character.
  const bool alone =
      size == 4 || (size == 3 && byte >= 0xe2 &&
                    !(byte == 0xe2 && static_cast<std::uint8_t>(text[position + 1]) < 0xba));
  return alone ? Class::alone : Class::word;
}

// A text cut into tokens: `starts` has one more entry than there are tokens.
struct Tokens {
  std::vector<std::size_t> starts;
  std::vector<std::uint32_t> ids;
};

class Tokenizer {
 public:
  Tokens words(std::string_view text) {
    Tokens tokens;
    std::size_t position = 0;
    while (position < text.size()) {
      const std::size_t start = position;
      std::size_t size = code_point_size(text, position);
      const Class kind = class_of(text, position, size);
      position += size;
      while (kind != Class::alone && position < text.size()) {
        size = code_point_size(text, position);
        if (class_of(text, position, size) != kind) break;
        position += size;
      }
      add(tokens, text, start, position);
    }
    tokens.starts.push_back(text.size());
    return tokens;
  }

  Tokens lines(std::string_view text) {
    Tokens tokens;
    std::size_t position = 0;
    while (position < text.size()) {
      const std::size_t newline = text.find('\n', position);
      const std::size_t end = newline == std::string_view::npos ? text.size() : newline + 1;
      add(tokens, text, position, end);
      position = end;
    }
    tokens.starts.push_back(text.size());
    return tokens;
  }

 private:
  void add(Tokens& tokens, std::string_view text, std::size_t begin, std::size_t end) {
    const auto next = static_cast<std::uint32_t>(ids_.size());
    tokens.starts.push_back(begin);
    tokens.ids.push_back(ids_.emplace(text.substr(begin, end - begin), next).first->second);
  }

  std::unordered_map<std::string_view, std::uint32_t> ids_;
};

Tokens characters(std::string_view text) {
  Tokens tokens;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t size = code_point_size(text, position);
    std::uint32_t id = size == 1 ? 0 : static_cast<std::uint32_t>(size) << 30;
    for (std::size_t i = 0; i < size; ++i) {
      id = id * 256 + static_cast<std::uint8_t>(text[position + i]);
    }
    tokens.starts.push_back(position);
    tokens.ids.push_back(id);
    position += size;
  }
  tokens.starts.push_back(text.size());
  return tokens;
}

// Collects edits; those that touch become one.
class Edits {
 public:
  explicit Edits(std::string_view changed) : changed_(changed) {}

  void add(std::size_t begin, std::size_t end, std::size_t text_begin, std::size_t text_end) {
    if (!edits_.empty() && edits_.back().end == begin) {
      TextEdit& last = edits_.back();
      const auto from = static_cast<std::size_t>(last.text.data() - changed_.data());
      last.end = end;
      last.text = changed_.substr(from, text_end - from);
      return;
    }
    edits_.push_back({begin, end, changed_.substr(text_begin, text_end - text_begin)});
  }

  std::vector<TextEdit> take() { return std::move(edits_); }

 private:
  std::string_view changed_;
  std::vector<TextEdit> edits_;
};

// Replaced text is looked at by code points, when enough of it is the same.
void refine(std::string_view base, std::string_view changed, std::size_t begin, std::size_t end,
            std::size_t text_begin, std::size_t text_end, std::size_t& budget, Edits& edits) {
  const Tokens before = characters(base.substr(begin, end - begin));
  const Tokens after = characters(changed.substr(text_begin, text_end - text_begin));
  const std::size_t enough = (before.ids.size() + after.ids.size()) / 2;
  const auto runs =
      diff_sequences(before.ids, after.ids, std::min(enough, kMaxCharacterDifferences), budget);
  if (!runs) {
    edits.add(begin, end, text_begin, text_end);
    return;
  }
  for (const SequenceRun& run : *runs) {
    edits.add(begin + before.starts[run.begin], begin + before.starts[run.end],
              text_begin + after.starts[run.other_begin], text_begin + after.starts[run.other_end]);
  }
}

bool diff_tokens(std::string_view base, std::string_view changed, Granularity granularity,
                 std::size_t& budget, Edits& edits) {
  Tokenizer tokenizer;
  const bool words = granularity == Granularity::words;
  const Tokens before = words ? tokenizer.words(base) : tokenizer.lines(base);
  const Tokens after = words ? tokenizer.words(changed) : tokenizer.lines(changed);
  const auto runs = diff_sequences(before.ids, after.ids,
                                   words ? kMaxWordDifferences : kMaxLineDifferences, budget);
  if (!runs) return false;
  for (const SequenceRun& run : *runs) {
    const std::size_t begin = before.starts[run.begin];
    const std::size_t end = before.starts[run.end];
    const std::size_t text_begin = after.starts[run.other_begin];
    const std::size_t text_end = after.starts[run.other_end];
    if (begin == end || text_begin == text_end) {
      edits.add(begin, end, text_begin, text_end);
    } else {
      refine(base, changed, begin, end, text_begin, text_end, budget, edits);
    }
  }
  return true;
}

}  // namespace

std::vector<TextEdit> diff_text(std::string_view base, std::string_view changed) {
  if (base == changed) return {};
  std::size_t budget = 20'000'000;
  Edits edits(changed);
  if (!diff_tokens(base, changed, Granularity::words, budget, edits)) {
    budget = 20'000'000;
    if (!diff_tokens(base, changed, Granularity::lines, budget, edits)) {
      edits.add(0, base.size(), 0, changed.size());
    }
  }
  return edits.take();
}

}  // namespace conat
