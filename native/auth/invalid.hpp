// The error for what is configured, or claimed by a token, and is not as it must be.
#pragma once

#include <string>
#include <utility>

#include "conat/base/result.hpp"

namespace conat::auth {

inline Error invalid(std::string text) { return {ErrorKind::invalid_argument, std::move(text)}; }

}  // namespace conat::auth
