// Cookies as browsers send them (RFC 6265, section 4.2), read leniently: what is malformed is left
// out and does not hide the others.
//
// Thread safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/request.hpp"

namespace conat::auth {

inline constexpr std::size_t max_cookies = 200;  // what follows is not looked at

// Names and values of all `Cookie` headers, in order. A name may come twice: browsers send the one
// with the more specific path first. Quotes around a value are taken off; nothing is decoded.
std::vector<std::pair<std::string, std::string>> read_cookies(const Request& request);

// The first cookie of that name (names differ by case).
std::optional<std::string> find_cookie(const Request& request, std::string_view name);

}  // namespace conat::auth
