#include "conat/wire/json_writer.hpp"

#include <cmath>
#include <cstdio>

#include "conat/wire/codec.hpp"
#include "conat/wire/json_cursor.hpp"
#include "conat/wire/json_number.hpp"

namespace conat {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

void write_bytes(std::string& out, ByteView bytes) {
  out.push_back('[');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i != 0) out.push_back(',');
    out.append(std::to_string(bytes[i]));
  }
  out.push_back(']');
}

struct CivilDate {
  std::int64_t year;
  int month;
  int day;
};

// The proleptic Gregorian date, counted in years that begin in March, so that the leap day is last.
CivilDate civil_date(std::int64_t days_since_1970) {
  constexpr std::int64_t kDaysTo1970 = 719'468;  // from 0000-03-01
  constexpr std::int64_t kDaysIn400Years = 146'097;
  const std::int64_t days = days_since_1970 + kDaysTo1970;
  const std::int64_t era = (days >= 0 ? days : days - (kDaysIn400Years - 1)) / kDaysIn400Years;
  const std::int64_t day_of_era = days - era * kDaysIn400Years;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const auto day = static_cast<int>(day_of_year - (153 * month_from_march + 2) / 5 + 1);
  const auto month =
      static_cast<int>(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

void write_date(std::string& out, double unix_ms) {
  if (!(std::fabs(unix_ms) <= kLastUnixMs)) {
    out.append("null");
    return;
  }
  const auto whole = static_cast<std::int64_t>(std::trunc(unix_ms));
  std::int64_t days = whole / kDayMs;
  std::int64_t rest = whole % kDayMs;
  if (rest < 0) {
    rest += kDayMs;
    --days;
  }
  const CivilDate date = civil_date(days);
  const bool four_digits = date.year >= 0 && date.year <= 9999;
  const char* const year_format = four_digits ? "%04lld" : date.year < 0 ? "-%06lld" : "+%06lld";
  char text[64];
  int length = std::snprintf(text, sizeof text, year_format,
                             static_cast<long long>(date.year < 0 ? -date.year : date.year));
  length += std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length),
                          "-%02d-%02dT%02d:%02d:%02d.%03dZ", date.month, date.day,
                          static_cast<int>(rest / 3'600'000), static_cast<int>(rest / 60'000 % 60),
                          static_cast<int>(rest / 1000 % 60), static_cast<int>(rest % 1000));
  out.push_back('"');
  out.append(text, static_cast<std::size_t>(length)).push_back('"');
}

void write_map(const Value::Map& map, std::string& out, JsonBinary* binary) {
  out.push_back('{');
  bool first = true;
  for (const auto& [key, entry] : map) {
    if (binary != nullptr && !binary->keep_marks && key == "_placeholder" && entry.bool_or(false)) {
      binary->disarmed = true;
      continue;
    }
    if (!first) out.push_back(',');
    first = false;
    append_json_text(out, key);
    out.push_back(':');
    write_json(entry, out, binary);
  }
  out.push_back('}');
}

}  // namespace

void append_placeholder(std::string& out, std::size_t number) {
  out.append(R"({"_placeholder":true,"num":)").append(std::to_string(number)).push_back('}');
}

void write_json(const Value& value, std::string& out, JsonBinary* binary) {
  if (const auto* integer = value.if_integer()) {
    out.append(std::to_string(*integer));
  } else if (const auto* big = value.if_big_integer()) {
    out.append(std::to_string(*big));
  } else if (const auto* real = value.if_real()) {
    append_json_number(out, *real);
  } else if (const auto* boolean = value.if_bool()) {
    out.append(*boolean ? "true" : "false");
  } else if (const auto* text = value.if_text()) {
    append_json_text(out, *text);
  } else if (const auto* map = value.if_map()) {
    write_map(*map, out, binary);
  } else if (const auto* items = value.if_array()) {
    out.push_back('[');
    for (std::size_t i = 0; i < items->size(); ++i) {
      if (i != 0) out.push_back(',');
      write_json((*items)[i], out, binary);
    }
    out.push_back(']');
  } else if (const auto* bytes = value.if_binary()) {
    if (binary != nullptr) {
      append_placeholder(out, binary->attachments.size());
      binary->attachments.push_back(*bytes);
    } else {
      out.append(R"({"type":"Buffer","data":)");
      write_bytes(out, *bytes);
      out.push_back('}');
    }
  } else if (const auto* date = value.if_date()) {
    write_date(out, date->unix_ms);
  } else if (const auto* extension = value.if_extension()) {
    out.append(R"({"type":)").append(std::to_string(extension->type)).append(R"(,"data":)");
    write_bytes(out, extension->data);
    out.push_back('}');
  } else {
    out.append("null");
  }
}

void encode_json(const Value& value, std::string& out) { write_json(value, out, nullptr); }

std::string encode_json(const Value& value) {
  std::string out;
  encode_json(value, out);
  return out;
}

}  // namespace conat
