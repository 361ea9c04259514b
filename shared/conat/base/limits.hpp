// Every limit of the core, related to each other. Configurable ones are the defaults of options.
#pragma once

#include <cstddef>
#include <cstdint>

namespace conat::limits {

// One WebSocket message (bytes); beyond it the connection is closed with 1009.
inline constexpr std::size_t max_payload_bytes = 8'000'000;
// What a chunk leaves free below max_payload for its headers and framing.
inline constexpr std::size_t chunk_reserve_bytes = 100'000;
inline constexpr std::size_t min_chunk_bytes = 1000;
// Assumed by a client before `info` told it.
inline constexpr std::size_t assumed_max_payload_bytes = 1'000'000;
// Attachments of one binary event: what socket.io-parser takes by default. A delivery with more
// would make such clients drop their connection.
inline constexpr std::size_t max_attachments = 10;
// Nesting of decoded values (JSON and MessagePack).
inline constexpr std::size_t max_value_depth = 64;

inline constexpr std::size_t max_subject_bytes = 16'384;
inline constexpr std::size_t max_subscriptions_per_client = 500;
inline constexpr std::size_t max_subscriptions_per_hub = 15'000;
inline constexpr std::size_t max_connections = 10'000;
inline constexpr std::size_t max_connections_per_user = 100;
// Outgoing bytes waiting for one connection before it counts as a slow consumer.
inline constexpr std::size_t max_queue_bytes = 64u << 20;
// Pending wait-for-interest calls of one connection.
inline constexpr std::size_t max_interest_waits = 1000;

inline constexpr std::int64_t ping_interval_ms = 25'000;
inline constexpr std::int64_t ping_timeout_ms = 20'000;
inline constexpr std::int64_t connect_timeout_ms = 45'000;
inline constexpr std::int64_t interest_timeout_ms = 90'000;

// Clients.
inline constexpr std::int64_t client_connect_timeout_ms = 20'000;  // transport and CONNECT
// A server that refused the user is given this long to disconnect by itself.
inline constexpr std::int64_t client_refused_grace_ms = 1000;
inline constexpr std::int64_t client_stats_interval_ms = 5000;
inline constexpr std::int64_t client_subscriptions_check_ms = 3000;
inline constexpr std::int64_t client_sync_retry_ms = 1300;
inline constexpr std::int64_t client_sync_retry_max_ms = 15'000;
inline constexpr std::int64_t client_sync_answer_timeout_ms = 10'000;
// Subscriptions of one array call, as they are encoded: what the smallest server takes.
inline constexpr std::size_t client_sync_batch_bytes = 900'000;
// An attempt to connect that has got nowhere for this long begins anew when the network comes back.
inline constexpr std::int64_t client_stuck_opening_ms = 2000;
// Renewing an identity that expires: how long the server has for its answer, and the pauses between
// attempts that fail.
inline constexpr std::int64_t client_renewal_answer_timeout_ms = 10'000;
inline constexpr std::int64_t client_renewal_retry_ms = 1000;
inline constexpr std::int64_t client_renewal_retry_max_ms = 30'000;
// Chunks sent and not yet acknowledged.
inline constexpr std::size_t client_window_chunks = 4;
// Messages that wait for sign-in or for the window; beyond it publish fails.
inline constexpr std::size_t client_max_waiting_bytes = 256u << 20;
inline constexpr std::int64_t permission_cache_ms = 60'000;
inline constexpr std::size_t max_permission_cache_entries = 10'000;

// Reassembly of chunked messages, and the stickiness of their queue-group choice.
inline constexpr std::int64_t partial_message_ttl_ms = 120'000;
inline constexpr std::size_t max_partial_messages = 1000;
inline constexpr std::size_t max_partial_bytes = 512u << 20;

// Match results cached per subject.
inline constexpr std::size_t max_match_cache_entries = 65'536;

// Persistence.
inline constexpr std::size_t max_storage_path_bytes = 4000;
inline constexpr std::size_t max_path_component_bytes = 255;
inline constexpr std::size_t max_streams_per_scope = 500;
inline constexpr std::size_t max_streams = 10'000;
inline constexpr std::int64_t ephemeral_max_bytes = 64'000'000;
// Messages of an ephemeral stream, so that empty ones are bounded too.
inline constexpr std::int64_t ephemeral_max_messages = 1'000'000;
inline constexpr std::int64_t message_id_ttl_ms = 120'000;
// A msgID's length, and how much the ids of one stream may take in memory before the oldest are
// forgotten early (a file-backed stream keeps about 72 bytes for each).
inline constexpr std::size_t max_message_id_bytes = 1024;
inline constexpr std::size_t max_message_ids_bytes = 256u << 20;
inline constexpr std::size_t ephemeral_message_ids_bytes = 32u << 20;
// One stored message (SQLite's own bound is 10^9 bytes).
inline constexpr std::int64_t max_stored_message_bytes = 900'000'000;
inline constexpr std::size_t change_batch_bytes = 20'000'000;
inline constexpr std::int64_t change_batch_delay_ms = 30;
inline constexpr std::size_t set_many_batch = 500;
// What the batches of all getAll answers in progress may hold together.
inline constexpr std::size_t get_all_total_bytes = 256u << 20;
// The first batch of a getAll, and how large they grow for a fast reader: below what makes a broker
// hold up the server for one reader's sake. (The protocol allows about 20 MB.)
inline constexpr std::size_t get_all_first_batch_bytes = 2'000'000;
inline constexpr std::size_t get_all_batch_bytes = 4'000'000;
inline constexpr std::size_t get_all_min_batch_bytes = 64u << 10;
// Requests of one socket that are not answered yet, and their payload bytes.
inline constexpr std::size_t persist_max_pending_requests = 10'000;
inline constexpr std::size_t persist_max_pending_bytes = 128u << 20;
inline constexpr std::int64_t persist_enforce_interval_ms = 1000;
// Changes that one reader of a changefeed has not acknowledged; a slower one is disconnected.
inline constexpr std::size_t persist_socket_queue_bytes = 64u << 20;
inline constexpr std::int64_t persist_listen_retry_ms = 5000;

// Synchronized stores, on the client.
inline constexpr std::size_t max_value_bytes = 32u << 20;
inline constexpr std::size_t max_key_bytes = 65'536;
// One setMany takes no further change beyond this.
inline constexpr std::size_t set_many_batch_bytes = 4'000'000;
inline constexpr std::size_t set_many_window = 4;  // full batches under way at the same time
inline constexpr std::int64_t save_retry_ms = 150;
inline constexpr std::int64_t save_retry_max_ms = 10'000;
inline constexpr std::int64_t tombstone_ttl_ms = 86'400'000;
inline constexpr std::int64_t stream_reconnect_ms = 1500;
inline constexpr std::int64_t stream_reconnect_max_ms = 30'000;
inline constexpr std::int64_t stream_stable_ms = 60'000;

// Sockets.
inline constexpr std::size_t socket_max_queue = 1000;
inline constexpr std::int64_t socket_keep_alive_ms = 45'000;
inline constexpr std::int64_t socket_keep_alive_timeout_ms = 30'000;
inline constexpr std::int64_t socket_command_timeout_ms = 10'000;
// Payload bytes that one socket has written and not got acknowledged.
inline constexpr std::size_t socket_max_queue_bytes = 256u << 20;
inline constexpr std::size_t max_sockets_per_server = 20'000;
inline constexpr std::size_t max_socket_servers = 1000;
// Messages that came early and wait for the gap before them: of one socket, and of all together.
inline constexpr std::size_t socket_max_held_messages = 1000;
inline constexpr std::size_t socket_max_held_bytes = 64u << 20;
inline constexpr std::size_t sockets_max_held_bytes = 512u << 20;
// Missing messages that are asked for at a time, and the bytes of an answer to such a request.
inline constexpr std::size_t socket_missing_batch = 64;
inline constexpr std::size_t socket_missing_answer_bytes = 64u << 20;
// Requests inside one socket that wait for `ready`.
inline constexpr std::size_t socket_max_waiting_requests = 1000;
// An acknowledgement leaves after this many messages, or this late.
inline constexpr std::size_t socket_ack_batch = 64;
inline constexpr std::int64_t socket_ack_delay_ms = 5;
inline constexpr std::int64_t socket_reconnect_delay_ms = 500;
inline constexpr std::int64_t socket_backoff_start_ms = 500;
inline constexpr std::int64_t socket_backoff_max_ms = 10'000;
inline constexpr double socket_backoff_factor = 1.3;
inline constexpr std::int64_t socket_interest_wait_ms = 5000;
// Unacknowledged messages: resent for this long after a reconnect; while connected, the last one is
// resent when nothing was acknowledged for this long.
inline constexpr std::int64_t socket_resend_limit_ms = 120'000;
inline constexpr std::int64_t socket_resend_patience_ms = 3000;

inline constexpr std::int64_t request_timeout_ms = 30'000;
inline constexpr std::int64_t publish_timeout_ms = 30'000;

static_assert(assumed_max_payload_bytes > chunk_reserve_bytes);
static_assert(max_payload_bytes > chunk_reserve_bytes + min_chunk_bytes);
static_assert(client_sync_batch_bytes + chunk_reserve_bytes <= assumed_max_payload_bytes);
static_assert(client_sync_batch_bytes > max_subject_bytes);
static_assert(client_sync_retry_ms < client_sync_retry_max_ms);
static_assert(client_renewal_retry_ms < client_renewal_retry_max_ms);
static_assert(client_stuck_opening_ms < client_connect_timeout_ms);
static_assert(max_queue_bytes > 4 * max_payload_bytes);
static_assert(get_all_batch_bytes < max_queue_bytes);
static_assert(max_partial_bytes < static_cast<std::size_t>(max_stored_message_bytes));
static_assert(2 * max_value_bytes <= max_queue_bytes);
static_assert(set_many_batch_bytes < max_payload_bytes);
static_assert(max_subject_bytes < min_chunk_bytes * 64);

}  // namespace conat::limits
