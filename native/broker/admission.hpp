// Who is connected, counted over all shards, and the limits on it: in total and for each user.
//
// A user is told apart by its JSON with sorted keys. A connection is counted from its sign-in
// until its ticket is gone; refused ones are not counted.
//
// Thread safety: all functions may be called from any thread; tickets too, each by one at a time.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "conat/base/value.hpp"

namespace conat::server {

class Admission {
  struct Entry {
    std::size_t connections = 0;
    const std::string* key = nullptr;
  };

 public:
  // Counts one connection while it exists. The Admission must outlive it.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), entry_(other.entry_) {}
    Ticket& operator=(Ticket&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(entry_, other.entry_);
      return *this;
    }
    ~Ticket() {
      if (owner_ != nullptr) owner_->release(*entry_);
    }

   private:
    friend class Admission;
    Ticket(Admission& owner, Entry& entry) : owner_(&owner), entry_(&entry) {}

    Admission* owner_ = nullptr;
    Entry* entry_ = nullptr;
  };

  struct Verdict {
    std::optional<Ticket> ticket;
    Value refusal;  // without a ticket: {error, code: 429}
  };

  struct Usage {
    std::size_t total = 0;
    std::vector<std::pair<std::string, std::size_t>> per_user;  // by user JSON, sorted
  };

  // 0: no limit.
  Admission(std::size_t max_total, std::size_t max_per_user)
      : max_total_(max_total), max_per_user_(max_per_user) {}

  Verdict admit(const Value& user);
  Usage usage() const;

 private:
  void release(Entry& entry);

  const std::size_t max_total_;
  const std::size_t max_per_user_;
  mutable std::mutex mutex_;
  std::size_t total_ = 0;
  std::unordered_map<std::string, Entry> users_;
};

// JSON with the keys of all maps sorted, so that equal values have equal texts.
std::string sorted_json(const Value& value);

}  // namespace conat::server
