#include "client/server_address.hpp"

#include <charconv>

namespace conat::native {
namespace {

std::uint16_t default_port(bool tls) { return tls ? 443 : 80; }

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == ':';
}

Error invalid(std::string_view url, const char* why) {
  return Error(ErrorKind::invalid_argument,
               "invalid server address '" + std::string(url) + "': " + why);
}

// Takes the scheme off the front of `rest`; false when there is none that is known.
bool take_scheme(std::string_view& rest, bool& tls) {
  const std::size_t colon = rest.find("://");
  if (colon == std::string_view::npos) return true;
  const std::string_view scheme = rest.substr(0, colon);
  if (scheme != "http" && scheme != "https" && scheme != "ws" && scheme != "wss") return false;
  tls = scheme == "https" || scheme == "wss";
  rest.remove_prefix(colon + 3);
  return true;
}

bool is_path(std::string_view path) {
  for (const char c : path) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '?' || c == '#' || c == '\x7f') return false;
  }
  return true;
}

}  // namespace

std::string ServerAddress::target() const {
  return base_path + "/conat/?EIO=4&transport=websocket";
}

std::string ServerAddress::authority() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  std::string result = ipv6 ? "[" + host + "]" : host;
  if (port != default_port(tls)) result += ":" + std::to_string(port);
  return result;
}

std::string ServerAddress::url() const {
  return (tls ? "https://" : "http://") + authority() + base_path;
}

Result<ServerAddress> parse_server_address(std::string_view url) {
  ServerAddress address;
  std::string_view rest = url;
  if (!take_scheme(rest, address.tls)) return invalid(url, "the scheme must be http or https");
  address.port = default_port(address.tls);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view authority = rest.substr(0, slash);
  std::string_view path = rest.substr(slash);
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  if (!is_path(path)) return invalid(url, "no query, fragment or white space is allowed");
  address.base_path = std::string(path);

  std::string_view host = authority;
  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return invalid(url, "a bracket is missing");
    host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
  } else if (const std::size_t colon = authority.find(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (host.empty()) return invalid(url, "the host is missing");
  for (const char c : host) {
    if (!is_host_character(c)) return invalid(url, "that is no host name");
  }
  address.host = std::string(host);
  if (!port.empty()) {
    unsigned number = 0;
    const char* end = port.data() + port.size();
    const auto [stop, error] = std::from_chars(port.data() + 1, end, number);
    if (port.front() != ':' || error != std::errc() || stop != end || number == 0 ||
        number > 65'535) {
      return invalid(url, "that is no port");
    }
    address.port = static_cast<std::uint16_t>(number);
  }
  return address;
}

}  // namespace conat::native
