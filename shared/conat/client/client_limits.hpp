// Time limits that only the client's own parts use.
#pragma once

#include <cstddef>
#include <cstdint>

namespace conat::limits {

// An attempt to connect that has got nowhere for this long begins anew when the network comes back.
inline constexpr std::int64_t client_stuck_opening_ms = 2000;
// Renewing an identity that expires: how long the server has for its answer, and the pauses between
// attempts that fail.
inline constexpr std::int64_t client_renewal_answer_timeout_ms = 10'000;
inline constexpr std::int64_t client_renewal_retry_ms = 1000;
inline constexpr std::int64_t client_renewal_retry_max_ms = 30'000;

// Subscriptions of one array call, as they are encoded: what the smallest server takes.
inline constexpr std::size_t client_sync_batch_bytes = 900'000;

}  // namespace conat::limits
