#include "conat/wire/placeholders.hpp"

namespace conat {
namespace {

bool is_placeholder(const Value& value) {
  const Value* mark = value.find("_placeholder");
  return mark != nullptr && mark->bool_or(false);
}

// Calls `replace(value, attachment)` for each placeholder until it returns false.
template <class Replace>
bool each_placeholder(Value& value, std::span<const ByteView> attachments, const Replace& replace) {
  if (is_placeholder(value)) {
    const Value* number = value.find("num");
    const std::int64_t index = number == nullptr ? -1 : number->integer_or(-1);
    if (index < 0 || static_cast<std::uint64_t>(index) >= attachments.size()) return false;
    return replace(value, attachments[static_cast<std::size_t>(index)]);
  }
  if (auto* items = value.if_array()) {
    for (Value& item : *items) {
      if (!each_placeholder(item, attachments, replace)) return false;
    }
  } else if (auto* map = value.if_map()) {
    for (auto& entry : *map) {
      if (!each_placeholder(entry.second, attachments, replace)) return false;
    }
  }
  return true;
}

}  // namespace

bool resolve_placeholders(Value& value, std::span<const ByteView> attachments) {
  return each_placeholder(value, attachments, [](Value& place, ByteView attachment) {
    place = to_bytes(attachment);
    return true;
  });
}

bool renumber_placeholders(Value& value, std::span<const ByteView> attachments,
                           std::size_t max_count, std::vector<ByteView>& ordered) {
  return each_placeholder(value, attachments, [&](Value& place, ByteView attachment) {
    if (ordered.size() == max_count) return false;
    place = Value::Map{{"_placeholder", true}, {"num", static_cast<std::int64_t>(ordered.size())}};
    ordered.push_back(attachment);
    return true;
  });
}

}  // namespace conat
