// The standard alphabet, with padding.
//
// Thread safety: pure.
#pragma once

#include <string>

#include "conat/base/bytes.hpp"

namespace conat::native {

std::string base64(ByteView bytes);

}  // namespace conat::native
