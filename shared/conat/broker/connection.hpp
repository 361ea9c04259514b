// A connection as the broker keeps it, in two parts: what every delivery touches (ConnectionHead,
// one cache line in an array), and the rest.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "conat/broker/authorization.hpp"
#include "conat/broker/broker.hpp"
#include "conat/broker/interest_export.hpp"
#include "conat/broker/subscription_list.hpp"
#include "conat/session/server_session.hpp"

namespace conat {

// What the shell has been asked about a connection and not answered yet.
enum class Question : std::uint8_t { none, sign_in, renewal };

// A connection by which another broker has joined this one.
struct JoinedBy {
  InterestExport interest;
  // Who sends over it: that broker's number for it, and the one it has here.
  std::unordered_map<peer::Sender, peer::Sender> senders;
};

struct Connection {
  // Reasons not to read from it, as bits.
  static constexpr std::uint8_t held_up = 1;    // by readers that are behind
  static constexpr std::uint8_t over_rate = 2;  // it has sent more than it may
  static constexpr TimeMs never = std::numeric_limits<TimeMs>::max();

  Connection(const ServerSessionOptions& options, Handshake from, TimeMs now,
             const std::vector<AuthorizationRule>& rules = {})
      : address(std::move(from.address)),
        in_process(from.in_process),
        identity(std::move(from.identity).value_or(Identity{})),
        asks(!from.identity && !in_process),
        authorization(asks ? Authorization()
                           : Authorization(identity.user, identity.rights, rules)),
        session(options, asks ? nullptr : &identity.user, in_process),
        connected_at(now),
        active_at(now) {
    session.set_expiry(identity.expires_at);
  }

  // What is counted begins with each CONNECT.
  void signed_in(TimeMs now) {
    connected_at = active_at = now;
    received = {};
    reported = {};
  }

  const std::string address;
  const bool in_process;
  Identity identity;  // while `asks`: what counts only from the sign-in on
  const bool asks;    // for the identity, at each CONNECT
  Question question = Question::none;
  std::uint8_t failed_renewals = 0;  // since the sign-in or the last one that succeeded
  std::uint64_t renewal_ack_id = 0;  // while `question` is renewal
  Authorization authorization;
  ServerSession session;
  SubscriptionList subscriptions;
  TrafficCount received;  // what it published
  TrafficCount reported;  // what it says that it has received (`stats`)
  TimeMs connected_at;
  TimeMs active_at;                // of its last event
  std::optional<TimeMs> timer_at;  // the entry of the timer queue that counts
  // Since when it has taken nothing although much waits for it, and what it had taken until then.
  std::optional<TimeMs> stalled_since;
  std::uint64_t stalled_at_bytes = 0;
  RateMeter rate_meter;
  TimeMs reading_due = never;  // when it has credit again
  std::uint8_t pauses = 0;
  std::string overflow_subject;         // of the message that was too much
  std::unique_ptr<JoinedBy> joined_by;  // null: an ordinary client
};

struct ConnectionHead {
  std::uint64_t queued_bytes = 0;   // handed to the shell and not yet written
  std::uint64_t written_bytes = 0;  // taken by the transport
  TimeMs behind_until = 0;          // before, it does not count as one that keeps up
  std::uint32_t generation = 0;     // changes with every connection that uses this place
  PacketEncoding encoding = PacketEncoding::text;
  bool in_process = false;      // one of the broker's own clients: never cut off
  bool overflowed = false;      // is to be cut off as a slow consumer
  bool congested = false;       // asked to hold senders, and not below the low-water mark since
  bool behind = false;          // congested, and above the high-water mark at some time since
  bool stuck = false;           // congested and taking nothing: it holds nobody up
  bool known_sender = false;    // was asked to be held up before
  bool known_to_peers = false;  // siblings keep something of it that SenderClosed ends
  std::unique_ptr<Connection> connection;  // null: the place is free
};

}  // namespace conat
