#include "auth/cookies.hpp"

namespace conat::auth {
namespace {

// Takes the next "name=value" off the front of a header; nullopt for what is none.
std::optional<std::pair<std::string_view, std::string_view>> take_pair(std::string_view& rest) {
  const std::size_t end = rest.find(';');
  const std::string_view pair = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  const std::size_t equals = pair.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const std::string_view name = trimmed(pair.substr(0, equals));
  std::string_view value = trimmed(pair.substr(equals + 1));
  if (name.empty()) return std::nullopt;
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  return std::pair(name, value);
}

// `visit` returns false to stop.
template <class Visit>
void for_each_cookie(const Request& request, Visit&& visit) {
  std::size_t seen = 0;
  for (const auto& [header, text] : request.headers) {
    if (!equal_ignoring_case(header, "cookie")) continue;
    std::string_view rest = text;
    while (!rest.empty()) {
      if (++seen > max_cookies) return;
      const auto pair = take_pair(rest);
      if (pair && !visit(pair->first, pair->second)) return;
    }
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> read_cookies(const Request& request) {
  std::vector<std::pair<std::string, std::string>> cookies;
  for_each_cookie(request, [&](std::string_view name, std::string_view value) {
    cookies.emplace_back(name, value);
    return true;
  });
  return cookies;
}

std::optional<std::string> find_cookie(const Request& request, std::string_view wanted) {
  std::optional<std::string> found;
  for_each_cookie(request, [&](std::string_view name, std::string_view value) {
    if (name == wanted) found = std::string(value);
    return !found;
  });
  return found;
}

}  // namespace conat::auth
