// The calls of a Client that wait for something: publishes for their acknowledgements, requests for
// their replies, interest, questions to the server.
//
// They leave in call order through one queue (the outbox), which opens when the client is signed in
// and its subscriptions were requested. Life of a publish or request:
//
//   queued -> sending -(all acks, count 0, wait_for_interest)-> interest -> queued ...
//                     -(all acks)-> done, or `replies` for a request -> done
//
// A big payload leaves in chunks, of which limits::client_window_chunks are unacknowledged at most;
// what was called later waits behind it, because chunks of one message are contiguous.
//
// Deadlines start at sign-in, and again with each sign of progress of a big transfer. A call that
// was on its way when the connection was lost fails with `disconnected`; a request that waits for
// replies, and whatever was certainly not delivered, lives on.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conat/base/random.hpp"
#include "conat/base/time.hpp"
#include "conat/client/client.hpp"
#include "conat/client/deadline_heap.hpp"
#include "conat/client/effect_queue.hpp"
#include "conat/client/outgoing.hpp"

namespace conat::client_parts {

class Calls {
 public:
  Calls(EffectQueue& effects, Outgoing& outgoing, Random random, std::string inbox,
        ClientStatistics& statistics);

  // Each puts a call at the end of the outbox. `timeout_ms` is positive.
  // Errors: limit_reached when too much waits; too_large for headers that no chunk can hold.
  Result<CallId> publish(TimeMs now, Owner owner, std::string_view subject, MessageData message,
                         std::int64_t timeout_ms, bool wait_for_interest);
  Result<CallId> request(TimeMs now, Owner owner, std::string_view subject, MessageData message,
                         const RequestOptions& options);
  // No acknowledgement, no report; forgotten when the connection is lost first.
  Status forget_after_send(TimeMs now, std::string_view subject, const MessageData& message);
  // timeout_ms 0: whether there is interest now; the answer may take `answer_timeout_ms`.
  CallId interest(TimeMs now, Owner owner, std::string_view subject, std::int64_t timeout_ms,
                  std::int64_t answer_timeout_ms);
  CallId question(TimeMs now, Owner owner, ServerQuestion question, std::int64_t timeout_ms);
  void cancel(CallId id);

  // Deadlines run from here on.
  void on_sign_in(TimeMs now);
  // The outbox opens.
  void open(TimeMs now);
  void on_lost(TimeMs now);
  // Answers everything with `closed`.
  void close();
  // Answers the requests with the server's refusal of the inbox.
  void fail_requests(const Error& error);

  void on_chunk_ack(TimeMs now, const AckTarget& target, const PacketView& packet);
  void on_interest_ack(TimeMs now, CallId id, const Value& answer);
  void on_question_ack(CallId id, const Value& answer);
  // A message to the inbox; `token` is the last part of its subject.
  void on_reply(TimeMs now, std::string_view token, Message message);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const { return deadlines_.next(); }

  void set_max_payload(std::size_t bytes);
  std::size_t size() const { return calls_.size(); }

 private:
  enum class Kind : std::uint8_t { publish, request, forget, interest, question };
  enum class Stage : std::uint8_t {
    queued,   // in the outbox
    sending,  // chunks are leaving, or their acknowledgements are awaited
    asked,    // interest, question: the server's answer is awaited
    resting,  // interest was there and gone again: a pause before the next try
    replies,  // request: everything is acknowledged
  };

  struct Call {
    Kind kind = Kind::publish;
    Stage stage = Stage::queued;
    Owner owner;
    bool wait_for_interest = false;
    bool many = false;
    bool ask_interest = false;  // queued to ask, not to send
    bool started = false;       // its first chunk has left once
    bool all_sent = false;
    bool wants_answer_now = false;  // interest with timeout 0
    ServerQuestion question = ServerQuestion::subscriptions;
    std::int64_t timeout_ms = 0;
    std::int64_t max_wait_ms = 0;    // with `many`: between replies; 0: timeout_ms
    std::optional<TimeMs> deadline;  // the end; none before sign-in
    std::optional<TimeMs> alarm;     // the entry of the heap that counts
    std::string subject;
    MessageData message;
    std::size_t bytes = 0;  // of the payload
    std::size_t held = 0;   // its part of held_bytes_
    std::string message_id;
    std::size_t offset = 0;
    std::uint64_t sequence = 0;
    std::uint32_t unacknowledged = 0;
    std::size_t unacknowledged_bytes = 0;
    std::uint64_t first_ack = 0;
    std::uint64_t last_ack = 0;
    std::uint64_t count = 0;
    std::uint32_t tries = 0;
    std::string token;  // request: the reply's subject ends in it
    std::uint32_t max_messages = 0;
    bool null_ends = true;
    std::uint32_t received = 0;
  };

  struct Chunk {
    std::size_t size = 0;
    bool is_last = false;
  };

  CallId add(TimeMs now, Call call);
  std::optional<Error> check_room(std::string_view subject, const MessageData& message) const;
  Chunk next_chunk(std::string_view subject, const MessageData& message, std::size_t offset) const;
  Call* find(CallId id);
  void pump(TimeMs now);
  // Each returns false when the call has to stay at the head of the outbox.
  bool send_head(TimeMs now, CallId id, Call& call);
  bool send_chunks(TimeMs now, CallId id, Call& call);
  void release_message(Call& call);
  void ask_interest(TimeMs now, CallId id, Call& call);
  void on_acknowledged(TimeMs now, CallId id, Call& call);
  void on_nobody(TimeMs now, CallId id, Call& call);
  void rest(TimeMs now, CallId id, Call& call);
  void requeue(CallId id, Call& call, bool ask);
  void arm(CallId id, Call& call, TimeMs when);
  void extend(TimeMs now, Call& call);
  void on_alarm(TimeMs now, CallId id, Call& call);
  void expire(TimeMs now, CallId id, Call& call);
  void lose(CallId id, Call& call);
  void reset_transfer(Call& call);
  std::vector<CallId> ids() const;
  void fail(CallId id, const Error& error);
  void succeed(CallId id, Call& call);
  // Takes the call out and gives up what it holds; nothing is reported.
  Call remove(CallId id);

  EffectQueue& effects_;
  Outgoing& outgoing_;
  Random random_;
  std::string inbox_;
  ClientStatistics& statistics_;
  std::unordered_map<CallId, Call> calls_;
  std::unordered_map<std::string, CallId> tokens_;
  std::deque<CallId> outbox_;
  DeadlineHeap deadlines_;
  CallId next_id_ = 1;
  bool signed_in_ = false;
  bool open_ = false;
  std::size_t max_payload_bytes_ = limits::assumed_max_payload_bytes;
  std::size_t unacknowledged_bytes_ = 0;  // over all calls
  std::size_t held_bytes_ = 0;            // by calls, with their overhead
};

}  // namespace conat::client_parts
