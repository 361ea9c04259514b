// The streams of one shard's connections by their id, found in constant time: every delivery looks
// one up. Open addressing; ids that count up fall into neighbouring places.
//
// Thread safety: none, the shard's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "net/stream.hpp"

namespace conat::server {

class ConnectionTable {
 public:
  ConnectionTable() : places_(64) {}

  std::size_t size() const { return size_; }

  void insert(std::uint64_t id, std::shared_ptr<net::Stream> stream) {
    if ((size_ + 1) * 2 > places_.size()) grow();
    place(id, std::move(stream));
    ++size_;
  }

  // Null when there is none.
  net::Stream* find(std::uint64_t id) const {
    for (std::size_t i = home_of(id);; i = next(i)) {
      if (places_[i].stream == nullptr) return nullptr;
      if (places_[i].id == id) return places_[i].stream.get();
    }
  }

  // Takes a stream out; null when there is none.
  std::shared_ptr<net::Stream> extract(std::uint64_t id) {
    std::size_t gap = home_of(id);
    while (places_[gap].stream != nullptr && places_[gap].id != id) gap = next(gap);
    auto stream = std::move(places_[gap].stream);
    if (stream == nullptr) return nullptr;
    --size_;
    // Entries behind the gap move up, where their way from home leads over it.
    for (std::size_t i = next(gap); places_[i].stream != nullptr; i = next(i)) {
      const std::size_t home = home_of(places_[i].id);
      const std::size_t mask = places_.size() - 1;
      if (((i - home) & mask) < ((i - gap) & mask)) continue;
      places_[gap] = std::move(places_[i]);
      gap = i;
    }
    return stream;
  }

 private:
  struct Place {
    std::uint64_t id = 0;
    std::shared_ptr<net::Stream> stream;
  };

  // Folds the halves, so that ids made of two counters spread too.
  std::size_t home_of(std::uint64_t id) const {
    return static_cast<std::size_t>(id ^ (id >> 32)) & (places_.size() - 1);
  }
  std::size_t next(std::size_t i) const { return (i + 1) & (places_.size() - 1); }

  void place(std::uint64_t id, std::shared_ptr<net::Stream> stream) {
    std::size_t i = home_of(id);
    while (places_[i].stream != nullptr) i = next(i);
    places_[i] = {id, std::move(stream)};
  }

  void grow() {
    std::vector<Place> old(places_.size() * 2);
    old.swap(places_);
    for (auto& entry : old) {
      if (entry.stream != nullptr) place(entry.id, std::move(entry.stream));
    }
  }

  std::vector<Place> places_;  // a power of two, at most half full
  std::size_t size_ = 0;
};

}  // namespace conat::server
