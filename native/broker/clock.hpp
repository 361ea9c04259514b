// The wall clock, and what monotonic times mean on it.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include "conat/base/time.hpp"

namespace conat::server {

// A monotonic time in milliseconds since 1970. The same time gives the same answer each time,
// unless the wall clock was set meanwhile.
UnixMs unix_time_of(TimeMs monotonic);

}  // namespace conat::server
