#include "broker/log.hpp"

#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>

#include "conat/wire/codec.hpp"
#include "conat/wire/utf8.hpp"

namespace conat::server {
namespace {

using Buffer = spdlog::memory_buf_t;
using Fields = std::initializer_list<LogField>;

// The fields of the line that this thread is about to write. spdlog formats it in the same call,
// on the same thread: its loggers are synchronous.
thread_local const Fields* pending_fields = nullptr;

void append(Buffer& out, std::string_view text) {
  out.append(text.data(), text.data() + text.size());
}

// Whatever the bytes are, the line is valid UTF-8.
void append_repaired(Buffer& out, std::string_view text) {
  std::string repaired;
  append_repaired_utf8(repaired, text);
  append(out, repaired);
}

void append_json_text(Buffer& out, std::string_view text) {
  append_repaired(out, encode_json(Value(text)));
}

void append_time(Buffer& out, spdlog::log_clock::time_point time) {
  const auto since = time.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since - seconds).count();
  const std::time_t unix_seconds = seconds.count();
  std::tm utc{};
  ::gmtime_r(&unix_seconds, &utc);
  std::array<char, 40> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  append(out, std::string_view(text.data(), size));
  std::snprintf(text.data(), text.size(), ".%03dZ", static_cast<int>(ms));
  append(out, text.data());
}

std::string_view level_name(spdlog::level::level_enum level) {
  const auto name = spdlog::level::to_string_view(level);
  return {name.data(), name.size()};
}

std::string_view payload_of(const spdlog::details::log_msg& line) {
  return {line.payload.data(), line.payload.size()};
}

// Text without anything that could end the line or drive a terminal, quoted when it would not
// read as one word otherwise.
void append_plain(Buffer& out, std::string_view text, bool quote_words) {
  bool plain = !(quote_words && text.empty());
  for (const char each : text) {
    const auto byte = static_cast<unsigned char>(each);
    if (byte < 0x20 || byte >= 0x7f) plain = false;
    if (quote_words && (each == ' ' || each == '"' || each == '=')) plain = false;
  }
  if (plain) {
    append(out, text);
  } else {
    append_json_text(out, text);
  }
}

class TextFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& line, Buffer& out) override {
    append_time(out, line.time);
    append(out, " ");
    append(out, level_name(line.level));
    append(out, " ");
    append_plain(out, payload_of(line), false);
    if (pending_fields != nullptr) {
      for (const LogField& field : *pending_fields) append_field(out, field);
    }
    append(out, "\n");
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<TextFormatter>();
  }

 private:
  static void append_field(Buffer& out, const LogField& field) {
    append(out, " ");
    append(out, field.name);
    append(out, "=");
    switch (field.kind) {
      case LogField::Kind::number:
        return append(out, std::to_string(field.number));
      case LogField::Kind::json:
        return append_plain(out, field.text, false);
      case LogField::Kind::text:
        return append_plain(out, field.text, true);
    }
  }
};

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& line, Buffer& out) override {
    append(out, "{\"time\":\"");
    append_time(out, line.time);
    append(out, "\",\"level\":\"");
    append(out, level_name(line.level));
    append(out, "\",\"message\":");
    append_json_text(out, payload_of(line));
    if (pending_fields != nullptr) {
      for (const LogField& field : *pending_fields) append_field(out, field);
    }
    append(out, "}\n");
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }

 private:
  static void append_field(Buffer& out, const LogField& field) {
    append(out, ",");
    append_json_text(out, field.name);
    append(out, ":");
    switch (field.kind) {
      case LogField::Kind::number:
        return append(out, std::to_string(field.number));
      case LogField::Kind::json:
        return append_repaired(out, field.text);
      case LogField::Kind::text:
        return append_json_text(out, field.text);
    }
  }
};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::trace:
      return spdlog::level::trace;
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void start_log(const std::string& format, const std::string& level) {
  auto logger = spdlog::stderr_logger_mt("conatd");
  if (format == "json") {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger->set_formatter(std::make_unique<TextFormatter>());
  }
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

bool log_enabled(LogLevel level) { return spdlog::should_log(spdlog_level(level)); }

void log_line(LogLevel level, std::string_view message, Fields fields) {
  if (!log_enabled(level)) return;
  pending_fields = &fields;
  spdlog::default_logger_raw()->log(spdlog_level(level),
                                    spdlog::string_view_t(message.data(), message.size()));
  pending_fields = nullptr;
}

bool LogLimit::pass(TimeMs now, std::uint64_t& left_out) {
  const TimeMs second = now / 1000;
  if (second_.exchange(second, std::memory_order_relaxed) != second) {
    count_.store(0, std::memory_order_relaxed);
  }
  if (count_.fetch_add(1, std::memory_order_relaxed) >= burst_) {
    left_out_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  left_out = left_out_.exchange(0, std::memory_order_relaxed);
  return true;
}

}  // namespace conat::server
