#include "cli/output.hpp"

#include <algorithm>

#include "cli/values.hpp"

namespace conat::cli {
namespace {

// Code points, as good a measure of width as there is without a terminal's tables.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string::npos;
}

}  // namespace

void print_message(Session& session, const Message& message, bool with_subject) {
  const Options& options = session.options();
  Value value = decode_or_bytes(message.data.encoding, message.data.raw);
  if (options.raw) return session.print_raw(raw_value(value));
  if (!options.json) {
    const std::string shown = show_value(value);
    return session.print(with_subject ? "[" + message.subject + "] " + shown : shown);
  }
  Value::Map map;
  if (with_subject) map.emplace_back("subject", Value(message.subject));
  map.emplace_back("value", std::move(value));
  if (!message.data.headers.empty()) map.emplace_back("headers", message.data.headers.value());
  session.print(encode_json(Value(std::move(map))));
}

void print_stored(Session& session, const StreamMessage& message) {
  const Options& options = session.options();
  Value value = decode_or_bytes(message.encoding, message.raw);
  if (options.raw) return session.print_raw(raw_value(value));
  if (!options.json) {
    return session.print(std::to_string(message.seq) + "\t" + readable_time(message.time) + "\t" +
                         (message.key ? "[" + *message.key + "] " : "") + show_value(value));
  }
  Value::Map map{{"seq", Value(message.seq)}, {"time", Value(message.time)}};
  if (message.key) map.emplace_back("key", Value(*message.key));
  map.emplace_back("value", std::move(value));
  if (!message.headers.empty()) map.emplace_back("headers", message.headers.value());
  session.print(encode_json(Value(std::move(map))));
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - width(row[i]), ' ');
      if (i > 0) line += "  ";
      line += is_number(row[i]) ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace conat::cli
