#include "net/http_message.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace conat::net {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string_view reason_of(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 304:
      return "Not Modified";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Unknown";
  }
}

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday],
                parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                parts.tm_min, parts.tm_sec);
  return text;
}

// Calls visit(part) for what lies between separators until it returns true; tells if it did.
template <class Visit>
bool any_part(std::string_view text, char separator, Visit visit) {
  while (true) {
    const auto end = text.find(separator);
    if (visit(text.substr(0, end))) return true;
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return {};
}

std::string HttpRequest::joined_header(std::string_view name) const {
  std::string joined;
  for (const auto& [key, value] : headers) {
    if (!equal_ignoring_case(key, name)) continue;
    if (!joined.empty()) joined += ", ";
    joined += value;
  }
  return joined;
}

bool HttpRequest::header_has(std::string_view name, std::string_view token) const {
  for (const auto& [key, value] : headers) {
    if (!equal_ignoring_case(key, name)) continue;
    const bool found = any_part(
        value, ',', [&](std::string_view part) { return equal_ignoring_case(trim(part), token); });
    if (found) return true;
  }
  return false;
}

std::optional<std::string> HttpRequest::parameter(std::string_view name) const {
  std::optional<std::string> result;
  any_part(query, '&', [&](std::string_view part) {
    const auto equals = part.find('=');
    const auto key = percent_decode(part.substr(0, equals), true);
    if (!key || *key != name || part.empty()) return false;
    const auto value =
        equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1);
    // What cannot be decoded is kept as it is: it equals nothing that is looked for.
    result = percent_decode(value, true).value_or(std::string(value));
    return true;
  });
  return result;
}

HttpResponse HttpResponse::text(unsigned status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(body);
  return response;
}

HttpResponse HttpResponse::json(unsigned status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.body = std::move(body);
  return response;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus_is_space) c = ' ';
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    result.push_back(c);
  }
  return result;
}

SharedBytes serialize(const HttpResponse& response, bool head, bool keep_alive) {
  const ByteView body = response.static_body.data() != nullptr
                            ? response.static_body
                            : as_bytes(std::string_view(response.body));
  std::string top = "HTTP/1.1 " + std::to_string(response.status) + " ";
  top += reason_of(response.status);
  top += "\r\nDate: " + http_date() + "\r\n";
  if (!response.content_type.empty()) {
    top += "Content-Type: " + response.content_type + "\r\nX-Content-Type-Options: nosniff\r\n";
  }
  for (const auto& [name, value] : response.headers) top += name + ": " + value + "\r\n";
  // A 304 has no body, and its length would be that of the body it stands for.
  const bool bodiless = response.status == 304;
  if (!bodiless) top += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  top += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  const std::size_t body_size = head || bodiless ? 0 : body.size();
  return SharedBytes::build(top.size() + body_size, [&](std::uint8_t* data) {
    std::memcpy(data, top.data(), top.size());
    if (body_size > 0) std::memcpy(data + top.size(), body.data(), body_size);
  });
}

}  // namespace conat::net
