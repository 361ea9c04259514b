// The subscriptions of a Client: several local ones may share one pattern, of which the server
// knows once. They survive every connection.
//
// State of an entry on the present connection: unsent -> sent -> confirmed; back to unsent when the
// connection is lost. On the first sign-in the inbox and then each pending one is requested. After
// a reconnect the inbox is requested, then the table is compared with the server's list until both
// agree:
//
//   idle -> asking -(they differ)-> applying -(all answered)-> resting -(delay)-> asking
//              \--(they agree)--> idle
//
// Thread safety: none.
#pragma once

#include <list>
#include <map>
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
#include "conat/session/client_backoff.hpp"

namespace conat::client_parts {

class SubscriptionTable {
 public:
  struct Local {
    SubscriptionId id = 0;
    Owner owner;
    std::int64_t timeout_ms = 0;
    bool told = false;               // SubscribeDone was reported
    std::optional<TimeMs> deadline;  // for the confirmation
  };
  enum class ServerState : std::uint8_t { unsent, sent, confirmed };
  struct Entry {
    std::string pattern;
    std::string queue;
    std::uint64_t number = 0;  // never reused; names the entry in acknowledgements
    ServerState state = ServerState::unsent;
    std::vector<Local> locals;  // the inbox has none
  };

  SubscriptionTable(EffectQueue& effects, Outgoing& outgoing, Random random,
                    std::string inbox_pattern);

  // Errors: a second queue group for one pattern.
  Result<SubscriptionId> add(TimeMs now, Owner owner, std::string_view pattern,
                             const SubscribeOptions& options);
  // Returns the number of the entry when it went with its last subscription.
  std::optional<std::uint64_t> remove(TimeMs now, SubscriptionId subscription);
  const Entry* find(std::string_view pattern) const;
  const Entry* find(SubscriptionId subscription) const;
  const Entry& inbox() const { return entries_.front(); }
  // Set while connected to a server that refused the inbox: no request can be answered.
  const std::optional<Error>& inbox_error() const { return inbox_error_; }
  // The patterns, with the inbox once it was requested.
  std::size_t count() const { return entries_.size() - (inbox_requested_ ? 0 : 1); }

  void on_sign_in(TimeMs now);
  void on_lost();
  void close();
  // Everything wanted was requested on this connection: what is published now can be answered.
  bool settled() const { return settled_; }
  // Starts a comparison with the server, if none is under way.
  void compare(TimeMs now);

  // Each returns the numbers of the entries that went (refused by the server).
  std::vector<std::uint64_t> on_subscribe_ack(TimeMs now, std::uint64_t number,
                                              const Value& answer);
  std::vector<std::uint64_t> on_batch_ack(TimeMs now, std::uint64_t batch, const Value& answer);
  void on_list(TimeMs now, const Value& answer);

  std::vector<std::uint64_t> on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;

 private:
  enum class Sync : std::uint8_t { idle, asking, applying, resting };

  Entry* entry_of(std::uint64_t number);
  void request(Entry& entry);
  void arm(TimeMs now, Local& local);
  void confirm(Entry& entry);
  void refuse(Entry& entry, const Error& error);
  void erase(Entry& entry);
  void ask(TimeMs now);
  void give_up_asking(TimeMs now);
  void rest(TimeMs now);
  void apply(TimeMs now, const std::vector<Entry*>& missing, std::vector<std::string> extra);
  void batch_answered(TimeMs now);
  std::optional<std::uint64_t> expire(TimeMs now, SubscriptionId subscription);

  EffectQueue& effects_;
  Outgoing& outgoing_;
  Random random_;
  std::list<Entry> entries_;  // in the order of their subscription, the inbox first
  std::unordered_map<std::string_view, Entry*> by_pattern_;
  std::unordered_map<std::uint64_t, Entry*> by_number_;
  std::unordered_map<SubscriptionId, Entry*> by_id_;
  std::unordered_map<std::uint64_t, std::list<Entry>::iterator> places_;
  std::map<std::uint64_t, std::vector<std::uint64_t>> batches_;
  DeadlineHeap confirmations_;
  SubscriptionId next_id_ = 1;
  std::uint64_t next_number_ = 1;
  std::uint64_t next_batch_ = 1;
  bool signed_in_ = false;
  bool ever_signed_in_ = false;
  bool settled_ = false;
  bool inbox_requested_ = false;
  std::optional<Error> inbox_error_;
  Sync sync_ = Sync::idle;
  TimeMs sync_at_ = 0;  // resting: when to ask; asking, applying: when to give up the answer
  ClientBackoff sync_backoff_;
};

}  // namespace conat::client_parts
