// How deep packets nest, inside of the wire layer.
#pragma once

#include "conat/base/limits.hpp"

namespace conat {

// A message's fields nest up to limits::max_value_depth. A delivery puts them into
// {data:[pattern, {data:[...]}]}; a publish, into one level less.
inline constexpr std::size_t kMaxPacketDepth = limits::max_value_depth + 4;

}  // namespace conat
