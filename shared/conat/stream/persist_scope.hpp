// The scope that a subject of the persistence service stands for.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "conat/base/result.hpp"

namespace conat::persist_parts {

// The second token of `{service}.{scope}...`: "hub", "account-{id}" or "project-{id}".
// Errors: permission_denied.
Result<std::string> scope_of(std::string_view subject, std::string_view service);

}  // namespace conat::persist_parts
