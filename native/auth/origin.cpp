#include "auth/origin.hpp"

#include <algorithm>

namespace conat::auth {
namespace {

std::uint16_t usual_port(std::string_view scheme) {
  if (scheme == "http") return 80;
  if (scheme == "https") return 443;
  return 0;
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

// Takes "host" or "[v6]" off the front, in lower case. False for what is none.
bool take_host(std::string_view& text, std::string& host) {
  std::size_t size = 0;
  if (!text.empty() && text[0] == '[') {
    size = text.find(']') + 1;  // 0 when there is none
    const std::string_view inner = size == 0 ? "" : text.substr(1, size - 2);
    if (inner.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos) return false;
  } else {
    size = std::min(text.find(':'), text.size());
  }
  if (size == 0) return false;
  host = lower_case(text.substr(0, size));
  text.remove_prefix(size);
  if (host[0] == '[') return host.size() > 2;
  return std::all_of(host.begin(), host.end(), is_host_character);
}

// ":port", or nothing: then it stays as it is.
bool take_port(std::string_view text, std::uint16_t& port) {
  if (text.empty()) return true;
  if (text[0] != ':' || text.size() < 2 || text.size() > 6) return false;
  unsigned number = 0;
  for (const char c : text.substr(1)) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  if (number == 0 || number > 65'535) return false;
  port = static_cast<std::uint16_t>(number);
  return true;
}

// What the proxy nearest to the client wrote.
std::string_view first_of_list(std::string_view header) {
  return trimmed(header.substr(0, header.find(',')));
}

bool is_below(std::string_view host, std::string_view dot_and_domain) {
  return host.size() > dot_and_domain.size() && host[0] != '.' &&
         host.substr(host.size() - dot_and_domain.size()) == dot_and_domain;
}

}  // namespace

// ---- what origins look like ----

// "scheme://host[:port]", of http and https only. The port is always set.
bool OriginPolicy::parse_origin(std::string_view text, Origin& origin) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return false;
  origin.scheme = lower_case(text.substr(0, colon));
  origin.port = usual_port(origin.scheme);
  text.remove_prefix(colon + 3);
  return origin.port != 0 && take_host(text, origin.host) && take_port(text, origin.port);
}

Result<OriginPolicy::Entry> OriginPolicy::parse_entry(std::string_view text) {
  const Error wrong(ErrorKind::invalid_argument,
                    "invalid origin '" + std::string(text) +
                        "': write https://app.example.com, *.example.com or app.example.com");
  Entry entry;
  std::string_view rest = text;
  const std::size_t colon = rest.find("://");
  if (colon != std::string_view::npos) {
    entry.origin.scheme = lower_case(rest.substr(0, colon));
    rest.remove_prefix(colon + 3);
    if (entry.origin.scheme.empty()) return wrong;
    if (usual_port(entry.origin.scheme) == 0) {  // an application's own, say capacitor://localhost
      if (rest.empty() || rest.find_first_of("*/ ") != std::string_view::npos) return wrong;
      entry.literal = lower_case(text);
      return entry;
    }
  }
  if (rest.substr(0, 2) == "*.") {
    entry.below = true;
    rest.remove_prefix(2);
  }
  if (!take_host(rest, entry.origin.host) || entry.origin.host[0] == '.') return wrong;
  if (entry.below) entry.origin.host.insert(0, ".");
  if (!take_port(rest, entry.origin.port)) return wrong;
  return entry;
}

bool OriginPolicy::matches(const std::vector<Entry>& entries, const Origin& origin) {
  return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
    if (!entry.literal.empty()) return false;
    if (!entry.origin.scheme.empty() && entry.origin.scheme != origin.scheme) return false;
    const std::uint16_t port =
        entry.origin.port != 0 ? entry.origin.port : usual_port(origin.scheme);
    if (port != origin.port) return false;
    return entry.below ? is_below(origin.host, entry.origin.host)
                       : origin.host == entry.origin.host;
  });
}

Result<OriginPolicy> OriginPolicy::make(const OriginOptions& options) {
  OriginPolicy policy;
  policy.trust_forwarded_ = options.trust_forwarded;
  for (const std::string& text : options.allowed) {
    if (text == "*") {
      policy.any_ = true;
    } else if (text == "null") {
      policy.null_ = true;
    } else {
      Result<Entry> entry = parse_entry(text);
      if (!entry) return entry.error();
      policy.allowed_.push_back(std::move(*entry));
    }
  }
  for (const std::string& text : options.with_cookies) {
    Result<Entry> entry = parse_entry(text);
    if (!entry) return entry.error();
    policy.with_cookies_.push_back(std::move(*entry));
  }
  return policy;
}

// ---- the check ----

OriginVerdict OriginPolicy::check(const Request& request) const {
  const auto is_origin = [](const auto& header) {
    return equal_ignoring_case(header.first, "origin");
  };
  const auto first = std::find_if(request.headers.begin(), request.headers.end(), is_origin);
  if (first == request.headers.end()) return {true, true};
  // No browser sends two.
  if (std::any_of(first + 1, request.headers.end(), is_origin)) return {false, false};
  const std::string_view text = trimmed(first->second);
  Origin origin;
  if (!parse_origin(text, origin)) {
    const std::string whole = lower_case(text);
    const auto is_whole = [&](const Entry& entry) { return entry.literal == whole; };
    const bool trusted =
        !whole.empty() && std::any_of(with_cookies_.begin(), with_cookies_.end(), is_whole);
    const bool listed = !whole.empty() && std::any_of(allowed_.begin(), allowed_.end(), is_whole);
    return {any_ || trusted || listed || (null_ && whole == "null"), trusted};
  }
  if (is_own(request, origin) || matches(with_cookies_, origin)) return {true, true};
  return {any_ || matches(allowed_, origin), false};
}

bool OriginPolicy::is_own(const Request& request, const Origin& origin) const {
  std::string_view host = trimmed(request.header("host"));
  // Over plain HTTP a proxy may have taken TLS off, so that both schemes can be ours.
  std::string scheme = request.secure ? "https" : "";
  if (trust_forwarded_) {
    const std::string_view forwarded_host = first_of_list(request.header("x-forwarded-host"));
    if (!forwarded_host.empty()) host = forwarded_host;
    const std::string_view forwarded_scheme = first_of_list(request.header("x-forwarded-proto"));
    if (!forwarded_scheme.empty()) scheme = lower_case(forwarded_scheme);
  }
  if (!scheme.empty() && origin.scheme != scheme) return false;
  std::string name;
  std::uint16_t port = usual_port(origin.scheme);
  return take_host(host, name) && take_port(host, port) && name == origin.host &&
         port == origin.port;
}

}  // namespace conat::auth
