#include "conat/client/outgoing.hpp"

namespace conat::client_parts {

void Outgoing::emit(std::string_view event, const Value::Array& arguments) {
  effects_.send(encode_event(encoding_, event, arguments, std::nullopt));
}

std::uint64_t Outgoing::emit(std::string_view event, const Value::Array& arguments,
                             AckTarget target) {
  const std::uint64_t id = next_ack_++;
  pending_.emplace(id, target);
  effects_.send(encode_event(encoding_, event, arguments, id));
  return id;
}

void Outgoing::publish(const PublishChunk& chunk) {
  effects_.send(encode_publish(encoding_, chunk, std::nullopt));
}

std::uint64_t Outgoing::publish(const PublishChunk& chunk, AckTarget target) {
  const std::uint64_t id = next_ack_++;
  pending_.emplace(id, target);
  effects_.send(encode_publish(encoding_, chunk, id));
  return id;
}

void Outgoing::acknowledge(std::uint64_t ack_id) {
  effects_.send(encode_ack(encoding_, ack_id, {}));
}

std::optional<AckTarget> Outgoing::take(std::uint64_t ack_id) {
  const auto found = pending_.find(ack_id);
  if (found == pending_.end()) return std::nullopt;
  const AckTarget target = found->second;
  pending_.erase(found);
  return target;
}

void Outgoing::forget(std::uint64_t first, std::uint64_t last, std::uint64_t call) {
  for (std::uint64_t id = first; id <= last; ++id) {
    const auto found = pending_.find(id);
    if (found == pending_.end() || found->second.id != call) continue;
    if (found->second.kind != AckKind::chunk && found->second.kind != AckKind::interest &&
        found->second.kind != AckKind::question) {
      continue;
    }
    pending_.erase(found);
  }
}

}  // namespace conat::client_parts
