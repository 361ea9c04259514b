// The face of one Fabric towards JavaScript: numbers and short strings as arguments, bytes through
// windows in WASM memory, everything that happens through one outbox.
//
// Conventions, for every function bound in bindings.cpp:
//   * `now` is milliseconds on the shell's monotonic clock. Nothing here reads a clock or draws
//     randomness: the seed comes in at construction.
//   * Bytes go in through the window: reserve(size) gives its address, the caller writes the parts
//     of a call one behind the other (in the order of the length parameters) and calls. A call
//     uses the window up; an address stays valid until reserve() is called for more than before.
//   * What can fail returns a negative number when it did; error_number(), error_word() and
//     error_text() then describe the last failure. Ids are positive.
//   * Bytes come back in the result: result() is their address, the return value their length,
//     valid until the next call that has a result.
//   * Nothing throws. Running out of memory ends the module with a trap.
//
// Thread safety: none, one thread.
#pragma once

#include <cstdint>
#include <string>

#include "conat/fabric/fabric.hpp"
#include "outbox.hpp"

namespace conat {

// Positive id or length, or `failed`.
using Answer = double;
inline constexpr Answer failed = -1;

// Milliseconds from JavaScript, where nothing keeps a number whole, finite or positive.
inline std::int64_t milliseconds(double number) {
  constexpr double most = 9e15;
  if (!(number > 0)) return 0;
  return static_cast<std::int64_t>(number < most ? number : most);
}

class FabricHandle {
 public:
  // `seed`: 32 bytes from a cryptographic source. Times in ms.
  FabricHandle(const std::string& inbox_prefix, bool text_packets, bool reconnection,
               double reconnection_delay_ms, double reconnection_delay_max_ms,
               double randomization_factor, bool renew_auth, const std::string& seed);

  // ---- memory ----
  // Of this object, for the plain exports in hot_path.cpp.
  std::uint32_t address() const;
  std::uint32_t reserve(std::uint32_t size);
  // Moves pending effects into the outbox and returns its length; 0: nothing is pending. Call it
  // until then, handling each batch first. A batch ends behind a dkv_merge record, because that has
  // to be answered before anything else happens.
  std::uint32_t drain(double now);
  std::uint32_t outbox() const;
  std::uint32_t result() const;
  int error_number() const { return error_.code.number; }
  std::string error_word() const { return error_.code.word; }
  std::string error_text() const { return error_.text; }

  // ---- lifecycle and transport ----
  void connect(double now);
  void disconnect(double now);
  void close(double now);
  void wake(double now);
  // Window: the auth object as MessagePack; length 0 for none.
  void set_auth(std::uint32_t length);
  // The answers to auth_needed. Window: as set_auth.
  void renew_auth(double now, std::uint32_t length);
  void renewal_failed(double now);
  void on_transport_open(double now);
  // Window: the WebSocket message.
  void on_transport_message(double now, bool binary, std::uint32_t length);
  void on_transport_closed(double now);
  void drop_transport(double now);
  void on_time(double now);
  double deadline() const;  // on the clock of `now`; negative: none

  // ---- messaging; window: subject, headers, payload ----
  Answer subscribe(double now, const std::string& pattern, const std::string& queue,
                   double timeout_ms);
  void unsubscribe(double now, std::uint32_t subscription);
  // Returns the CallId of a publish_done record to come.
  Answer publish(double now, std::uint32_t subject_length, std::uint32_t headers_length,
                 std::uint32_t raw_length, std::uint32_t encoding, double timeout_ms,
                 bool wait_for_interest);
  // Returns the payload's bytes, also when the message was dropped.
  Answer publish_now(double now, std::uint32_t subject_length, std::uint32_t headers_length,
                     std::uint32_t raw_length, std::uint32_t encoding);
  // Returns the CallId of reply records to come.
  Answer request(double now, std::uint32_t subject_length, std::uint32_t headers_length,
                 std::uint32_t raw_length, std::uint32_t encoding, double timeout_ms,
                 bool wait_for_interest, bool many, double max_wait_ms, std::uint32_t max_messages,
                 bool null_ends);
  void cancel(double call);
  // Returns the CallId of an interest_done record to come.
  Answer wait_for_interest(double now, const std::string& subject, double timeout_ms);

  // `question` is a ServerQuestion. Returns the CallId of a server_answered record to come.
  Answer ask_server(double now, std::uint32_t question, double timeout_ms);
  void sync_subscriptions(double now);
  // 1: confirmed by the server; 0: not yet; negative: the server refused it.
  Answer inbox_ready();
  std::string queue(std::uint32_t subscription) const;

  int state() const { return static_cast<int>(fabric_.client().state()); }
  bool signed_in() const { return fabric_.client().signed_in(); }
  std::string id() const { return fabric_.client().id(); }
  std::string socket_id() const { return std::string(fabric_.client().socket_id()); }
  std::string inbox() const { return fabric_.client().inbox(); }
  std::uint32_t subscription_count() const;
  // Result: five f64: sent messages and bytes, received messages and bytes, subscriptions.
  Answer statistics();

  // ---- key-value stores ----
  // Window: the stream's config as MessagePack; length 0 for none. `merge` is a MergeKind.
  Answer dkv_open(double now, const std::string& scope, const std::string& path,
                  const std::string& service, bool ephemeral, bool sync,
                  std::uint32_t config_length, std::uint32_t merge, bool autosave);
  void dkv_close(double now, std::uint32_t dkv);
  std::uint32_t dkv_below(std::uint32_t dkv) const;  // the stream that takes its commands
  // Result: u8 encoding, then the payload. Negative: absent.
  Answer dkv_get(std::uint32_t dkv, const std::string& key);
  bool dkv_has(std::uint32_t dkv, const std::string& key) const;
  std::uint32_t dkv_size(std::uint32_t dkv) const;
  // Result: for each key text key, u8 encoding, blob payload (without payloads when `keys_only`).
  Answer dkv_entries(std::uint32_t dkv, bool keys_only);
  double dkv_seq(std::uint32_t dkv, const std::string& key) const;  // negative: none
  double dkv_time(std::uint32_t dkv,
                  const std::string& key) const;  // ms since 1970; negative: none
  // Result: MessagePack, empty when there are none.
  Answer dkv_headers(std::uint32_t dkv, const std::string& key);
  // Window: headers, payload.
  Answer dkv_set(double now, std::uint32_t dkv, const std::string& key,
                 std::uint32_t headers_length, std::uint32_t raw_length, std::uint32_t encoding);
  Answer dkv_erase(double now, std::uint32_t dkv, const std::string& key);
  Answer dkv_clear(double now, std::uint32_t dkv);
  // Returns the CallId of a dkv_saved record to come.
  Answer dkv_save(double now, std::uint32_t dkv);
  // Window: the merged payload. `outcome`: 0 the merge failed, local wins; 1 a value; 2 delete.
  void dkv_resolve(double now, std::uint32_t dkv, std::uint32_t merge, std::uint32_t outcome,
                   std::uint32_t raw_length, std::uint32_t encoding);
  // Local first: what is to be kept of it (its changes, or its state); and restoring that.
  Answer dkv_kept(std::uint32_t dkv, bool changes);
  Answer dkv_restore(double now, std::uint32_t dkv, std::uint32_t state_length,
                     std::uint32_t changes_length, bool open_now);
  bool dkv_has_unsaved_changes(std::uint32_t dkv) const;
  bool dkv_is_stable(std::uint32_t dkv) const;
  // Result: text for each key.
  Answer dkv_unsaved_changes(std::uint32_t dkv);

  // ---- streams ----
  // Window: a map with `ephemeral`, `sync`, `compression`, `config`, each optional.
  Answer stream_open(double now, const std::string& scope, const std::string& path,
                     const std::string& service, std::uint32_t options_length);
  void stream_close(double now, std::uint32_t stream);
  // Window: headers (with the command), payload. Returns the CallId of stream_answer records to
  // come.
  Answer stream_request(double now, std::uint32_t stream, std::uint32_t headers_length,
                        std::uint32_t raw_length, std::uint32_t encoding, double timeout_ms,
                        bool many);
  void stream_follow_changes(double now, std::uint32_t stream);
  // Of streams and stores opened from now on.
  void stream_set_reconnect_delay(double delay_ms);

  // ---- core streams; commands are requests of stream core_stream_below() ----
  // Window: as for stream_open, and `start_seq`.
  Answer core_stream_open(double now, const std::string& scope, const std::string& path,
                          const std::string& service, std::uint32_t options_length);
  void core_stream_close(double now, std::uint32_t stream);
  std::uint32_t core_stream_below(std::uint32_t stream) const;
  std::uint32_t core_stream_length(std::uint32_t stream) const;
  // Result: f64 seq for each message from `first` on.
  Answer core_stream_seqs(std::uint32_t stream, std::uint32_t first);
  // Result: for each of `count` messages from `first` on f64 id, f64 seq and f64 time (negative:
  // none), flag keyed, [text key], u8 encoding, blob headers, blob payload.
  Answer core_stream_entries(std::uint32_t stream, std::uint32_t first, std::uint32_t count);
  // The index of the first message with this number or a higher one.
  std::uint32_t core_stream_index(std::uint32_t stream, double seq) const;
  double core_stream_key_seq(std::uint32_t stream, const std::string& key) const;  // negative: none
  // Result: for each key text key, f64 seq.
  Answer core_stream_keys(std::uint32_t stream);
  double core_stream_bytes(std::uint32_t stream) const;  // of all payloads
  double core_stream_seen(std::uint32_t stream) const;   // the highest number told
  double core_stream_start(std::uint32_t stream) const;  // 0: from the beginning
  // Returns the CallId of a core_stream_loaded record to come.
  Answer core_stream_load(double now, std::uint32_t stream, double start_seq);
  // Window: the numbers, as f64.
  void core_stream_forget(double now, std::uint32_t stream, std::uint32_t count);

  // ---- append-only streams; the same, and ----
  Answer dstream_open(double now, const std::string& scope, const std::string& path,
                      const std::string& service, std::uint32_t options_length, bool autosave);
  void dstream_close(double now, std::uint32_t stream);
  std::uint32_t dstream_below(std::uint32_t stream) const;
  std::uint32_t dstream_length(std::uint32_t stream) const;
  // Result: f64 id for each message from `first` on: its number, or a negative one of its own.
  Answer dstream_ids(std::uint32_t stream, std::uint32_t first);
  Answer dstream_entries(std::uint32_t stream, std::uint32_t first, std::uint32_t count);
  double dstream_start(std::uint32_t stream) const;
  // Window: headers, payload.
  Answer dstream_publish(double now, std::uint32_t stream, std::uint32_t headers_length,
                         std::uint32_t raw_length, std::uint32_t encoding, double ttl_ms);
  // Returns the CallId of a dstream_saved record to come.
  Answer dstream_save(double now, std::uint32_t stream);
  Answer dstream_load(double now, std::uint32_t stream, double start_seq);
  void dstream_forget(double now, std::uint32_t stream, std::uint32_t count);
  Answer dstream_kept(std::uint32_t stream, bool changes);
  Answer dstream_restore(double now, std::uint32_t stream, std::uint32_t state_length,
                         std::uint32_t changes_length, bool open_now);
  std::uint32_t dstream_unsaved(std::uint32_t stream) const;  // they are the last ones
  bool dstream_is_stable(std::uint32_t stream) const;

  // ---- sockets ----
  // Times in ms, max_queue in messages.
  Answer socket_listen(double now, const std::string& subject, const std::string& id,
                       double keep_alive_ms, double keep_alive_timeout_ms,
                       double command_timeout_ms, std::uint32_t max_queue);
  void socket_close_server(double now, std::uint32_t server);
  int socket_server_state(std::uint32_t server) const;
  void socket_intercept_commands(std::uint32_t server, bool on);
  // Window: subject, headers, payload of a socket_command record.
  void socket_handle_command(double now, std::uint32_t server, std::uint32_t subject_length,
                             std::uint32_t headers_length, std::uint32_t raw_length,
                             std::uint32_t encoding);
  // With `custom_balancer` socket_server_needed records ask for socket_choose_server.
  Answer socket_connect(double now, const std::string& subject, bool custom_balancer,
                        bool reconnection, double keep_alive_ms, double keep_alive_timeout_ms,
                        double command_timeout_ms, std::uint32_t max_queue);
  // `id` empty: choosing failed with `error`.
  void socket_choose_server(double now, std::uint32_t socket, const std::string& id,
                            const std::string& error);
  // Window: headers, payload.
  Answer socket_write(double now, std::uint32_t socket, std::uint32_t headers_length,
                      std::uint32_t raw_length, std::uint32_t encoding);
  // Window: headers, payload. Returns the CallId of socket_reply records to come.
  Answer socket_request(double now, std::uint32_t socket, std::uint32_t headers_length,
                        std::uint32_t raw_length, std::uint32_t encoding, double timeout_ms,
                        bool wait_for_interest, bool many, double max_wait_ms,
                        std::uint32_t max_messages);
  void socket_cancel(double call);
  void socket_close(double now, std::uint32_t socket);
  void socket_end(double now, std::uint32_t socket, double timeout_ms);
  void socket_disconnect(double now, std::uint32_t socket);
  void socket_reconnect(double now, std::uint32_t socket);
  void socket_set_reconnection(std::uint32_t socket, bool reconnection);
  int socket_state(std::uint32_t socket) const;
  std::uint32_t socket_unacknowledged(std::uint32_t socket) const;
  std::uint32_t socket_unsent(std::uint32_t socket) const;
  std::string socket_subject(std::uint32_t socket) const;
  std::string socket_id_of(std::uint32_t socket) const;
  double socket_last_alive(std::uint32_t socket) const;  // on the clock of `now`

 private:
  // Takes the next part of the window.
  ByteView take(std::uint32_t length);
  std::string_view take_text(std::uint32_t length) { return as_text(take(length)); }
  // Headers and payload, in this order.
  MessageData take_data(std::uint32_t headers_length, std::uint32_t raw_length,
                        std::uint32_t encoding);
  Value take_value(std::uint32_t length);
  std::vector<StreamSequence> take_seqs(std::uint32_t count);
  StreamOpenOptions take_stream_options(const std::string& scope, const std::string& path,
                                        const std::string& service, std::uint32_t options_length);

  template <class T>
  Answer answer(const Result<T>& result) {
    if (result) return static_cast<Answer>(*result);
    error_ = result.error();
    return failed;
  }
  Answer answer(const Status& status);
  Answer answer_with_result() const { return static_cast<Answer>(result_.size()); }

  struct ResultEntry;
  void add_entry(const ResultEntry& entry);

  // Layer and id are of no use here: every user effect names its object itself.
  static constexpr Owner owner{Layer::user, 0};

  mutable Fabric fabric_;  // its layers are reached through non-const accessors
  Bytes window_;
  std::size_t window_used_ = 0;
  Outbox outbox_;
  RecordWriter result_;
  Error error_;
};

}  // namespace conat
