// Calls of `wait-for-interest` that have not been answered yet.
//
// A new pattern looks only at the subjects that begin with its literal tokens, so inboxes that come
// and go cost next to nothing however much is waited for. Thread safety: none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "conat/base/time.hpp"
#include "conat/broker/broker.hpp"

namespace conat {

class InterestWaits {
 public:
  struct Waiter {
    ConnectionId connection;
    std::uint64_t ack_id;
  };

  void add(std::string_view subject, Waiter waiter, TimeMs expires_at);
  // Takes out those whose subject the pattern matches.
  std::vector<Waiter> take_matching(std::string_view pattern);
  std::vector<Waiter> take_expired(TimeMs now);
  // Drops those of a connection that is gone.
  void forget(ConnectionId connection);
  std::size_t count(ConnectionId connection) const;
  std::size_t size() const { return waits_.size(); }
  std::optional<TimeMs> deadline() const;

 private:
  using WaitId = std::uint64_t;
  using Subjects = std::map<std::string, std::set<WaitId>, std::less<>>;
  struct Wait {
    Subjects::iterator subject;
    Waiter waiter;
    TimeMs expires_at;
  };

  Waiter take(WaitId id);

  WaitId last_id_ = 0;
  std::unordered_map<WaitId, Wait> waits_;
  Subjects by_subject_;
  std::set<std::pair<TimeMs, WaitId>> by_expiry_;
  std::unordered_map<ConnectionId, std::vector<WaitId>> by_connection_;
};

}  // namespace conat
