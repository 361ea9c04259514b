#include "conat/broker/connection_table.hpp"

#include <utility>

namespace conat {

ConnectionId ConnectionTable::add(std::unique_ptr<Connection> connection) {
  std::size_t place;
  if (free_.empty()) {
    place = heads_.size();
    heads_.emplace_back();
  } else {
    place = free_.front();
    free_.pop_front();
  }
  ConnectionHead& head = heads_[place];
  const std::uint32_t generation = head.generation + 1;
  head = ConnectionHead{};
  head.generation = generation;
  head.in_process = connection->in_process;
  head.connection = std::move(connection);
  ++size_;
  return id_of(place, generation);
}

void ConnectionTable::remove(ConnectionId id) {
  const std::size_t place = place_of(id);
  heads_[place].connection.reset();
  --size_;
  // A place whose generations are used up stays unused: ids do not come back.
  if (heads_[place].generation < kLastGeneration) {
    free_.push_back(static_cast<std::uint32_t>(place));
  }
}

}  // namespace conat
