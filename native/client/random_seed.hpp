// The operating system's randomness, for the core's generator.
//
// Thread safety: pure function.
#pragma once

#include "conat/base/random.hpp"

namespace conat::native {

// Ends the program when the system has none: ids and masks must not be guessable.
Random seeded_random();

}  // namespace conat::native
