// Keeping a decoded map's keys unique.
//
// Thread safety: a pure function.
#pragma once

#include "conat/base/value.hpp"

namespace conat {

// Of entries with the same key the first place and the last value remain, as in JavaScript. Takes
// no more than n log n steps, since the entries come from a peer.
void keep_last_of_each_key(Value::Map& entries);

}  // namespace conat
