// The program's log: lines with a message and named fields, as text or as one JSON object a line,
// on standard error.
//
//   2026-01-31T12:00:00.000Z warning slow consumer closed connection=abc bytes=67108865
//   {"time":"2026-01-31T12:00:00.000Z","level":"warning","message":"…","connection":"abc",…}
//
// Whatever a peer has sent (subjects, names) is escaped: a line is always one line. Neither
// payloads nor secrets belong in here. Plain spdlog calls come out in the same form, without
// fields.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "conat/base/time.hpp"
#include "conat/base/value.hpp"

namespace conat::server {

enum class LogLevel : std::uint8_t { trace, debug, info, warning, error };

// `format` is "text" or "json", `level` a name of LogLevel, or "off". Call it before threads are
// started.
void start_log(const std::string& format, const std::string& level);

struct LogField {
  enum class Kind : std::uint8_t { text, number, json };

  std::string_view name;
  Kind kind = Kind::text;
  std::string_view text{};  // must outlive the call
  std::uint64_t number = 0;

  LogField(std::string_view field, std::string_view value) : name(field), text(value) {}
  LogField(std::string_view field, std::unsigned_integral auto value)
      : name(field), kind(Kind::number), number(value) {}
  // A value that is JSON already, such as a user.
  static LogField json(std::string_view field, std::string_view value) {
    LogField made(field, value);
    made.kind = Kind::json;
    return made;
  }
};

bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view message,
              std::initializer_list<LogField> fields = {});

// Keeps lines that peers can cause from filling the disk: up to `burst` in each second pass.
class LogLimit {
 public:
  explicit LogLimit(std::uint32_t burst) : burst_(burst) {}

  // Whether a line may be written at `now`; `left_out` is how many were not since the last one.
  bool pass(TimeMs now, std::uint64_t& left_out);

 private:
  const std::uint32_t burst_;
  std::atomic<TimeMs> second_{-1};
  std::atomic<std::uint32_t> count_{0};
  std::atomic<std::uint64_t> left_out_{0};
};

}  // namespace conat::server
