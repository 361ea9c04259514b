#include "auth/http_address.hpp"

#include <algorithm>

#include "auth/request.hpp"

namespace conat::auth {
namespace {

bool parse_port(std::string_view text, std::uint16_t& port) {
  unsigned number = 0;
  if (text.empty() || text.size() > 5) return false;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  port = static_cast<std::uint16_t>(number);
  return number != 0 && number <= 65'535;
}

bool is_unprintable(char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; }

}  // namespace

Result<HttpAddress> parse_http_address(std::string_view url) {
  const auto wrong = [&](std::string_view why) {
    return Error(ErrorKind::invalid_argument,
                 "invalid address '" + std::string(url) + "': " + std::string(why));
  };
  if (std::any_of(url.begin(), url.end(), is_unprintable)) return wrong("a space in it");
  const std::size_t colon = url.find("://");
  const std::string scheme =
      colon == std::string_view::npos ? "" : lower_case(url.substr(0, colon));
  if (scheme != "http" && scheme != "https") {
    return wrong("it must begin with http:// or https://");
  }
  HttpAddress address;
  address.tls = scheme == "https";
  address.port = address.tls ? 443 : 80;
  const std::string_view rest = url.substr(colon + 3);
  if (rest.find('#') != std::string_view::npos) return wrong("a fragment has no use");
  const std::size_t path = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, path);
  if (authority.find('@') != std::string_view::npos) {
    return wrong("user and password belong into a header");
  }
  address.authority = std::string(authority);
  address.target = std::string(rest.substr(path));
  if (address.target.empty() || address.target[0] == '?') address.target.insert(0, "/");
  const bool is_v6 = !authority.empty() && authority[0] == '[';
  const std::size_t host_end = is_v6 ? authority.find(']') : authority.find(':');
  if (is_v6 && host_end == std::string_view::npos) return wrong("a bracket is missing");
  address.host =
      std::string(is_v6 ? authority.substr(1, host_end - 1) : authority.substr(0, host_end));
  if (address.host.empty()) return wrong("a host is missing");
  const std::size_t host_size = is_v6 ? host_end + 1 : address.host.size();
  const std::string_view port = authority.substr(host_size);
  if (!port.empty() && (port[0] != ':' || !parse_port(port.substr(1), address.port))) {
    return wrong("the port is not valid");
  }
  return address;
}

}  // namespace conat::auth
