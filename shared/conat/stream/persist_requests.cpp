// Requests, their way through the storage, and their answers; changefeeds.
#include <algorithm>
#include <utility>

#include "conat/stream/persist_server_impl.hpp"

namespace conat {

using persist_parts::EncodedChange;
using persist_parts::PersistFeed;

namespace {

// A reader that takes a batch faster gets larger ones, a slower one smaller ones.
constexpr std::int64_t kFastBatchMs = 1000;
constexpr std::int64_t kSlowBatchMs = 4000;

MessageData unknown_command(const std::string& name) {
  constexpr std::size_t kShown = 100;
  Value::Map headers;
  headers.emplace_back("error", Value("unknown command " + name.substr(0, kShown)));
  headers.emplace_back("code", Value(Error(ErrorKind::not_found).code.number));
  return MessageData::of(Value(), Headers(Value(std::move(headers))));
}

MessageData refused_sqlite() {
  return persist_parts::error_message(
      Error(ErrorCode{}, "Error: sqlite command not currently supported"));
}

}  // namespace

bool PersistServer::Impl::has_room(const Socket& socket, std::size_t bytes) const {
  return socket.requests < limits::persist_max_pending_requests &&
         (socket.requests == 0 || socket.bytes + bytes <= limits::persist_max_pending_bytes);
}

void PersistServer::Impl::respond(std::string reply, MessageData data) {
  effects_.push_back(persist_effect::Respond{std::move(reply), std::move(data), 0, 0});
}

void PersistServer::Impl::run(PersistSocketId id, Socket& socket, std::string reply,
                              MessageData data) {
  const Value headers = data.headers.value();
  const Value* command_name = headers.find("cmd");
  const std::string name(command_name == nullptr ? "undefined" : command_name->text_or({}));
  if (name == "serverId") {
    return respond(std::move(reply), MessageData::of(Value(options_.server_id)));
  }
  if (name == "changefeed") {
    start_feed(socket);
    return respond(std::move(reply), MessageData::of(Value("created")));
  }
  if (name == "sqlite") return respond(std::move(reply), refused_sqlite());
  if (!has_room(socket, data.raw.size())) {
    const Error error(ErrorKind::limit_reached, "too many requests are waiting");
    return respond(std::move(reply), persist_parts::error_message(error));
  }
  Pending pending;
  pending.socket = id;
  pending.reply = std::move(reply);
  pending.bytes = data.raw.size();
  StorageCommand command;
  if (const auto error = prepare(name, headers, std::move(data), command, pending)) {
    const bool unknown = error->code.number == Error(ErrorKind::not_found).code.number;
    return respond(std::move(pending.reply),
                   unknown ? unknown_command(name) : persist_parts::error_message(*error));
  }
  ++socket.requests;
  socket.bytes += pending.bytes;
  if (pending.kind == Kind::get_all) {
    submit_get_all(socket.stream, std::move(pending));
  } else {
    submit(socket.stream, std::move(command), std::move(pending));
  }
}

// What the storage has to do for a command; not_found for an unknown one.
std::optional<Error> PersistServer::Impl::prepare(const std::string& name, const Value& headers,
                                                  MessageData data, StorageCommand& command,
                                                  Pending& pending) {
  if (name == "set") {
    pending.kind = Kind::set;
    Result<SetRequest> request = persist_parts::parse_set(headers, std::move(data));
    if (!request) return request.error();
    command = std::move(*request);
  } else if (name == "setMany") {
    pending.kind = Kind::set_many;
    auto items = persist_parts::parse_set_many(data);
    if (!items) return items.error();
    StorageSetMany many;
    for (Result<SetRequest>& item : *items) {
      pending.refused.push_back(item ? std::nullopt : std::optional<Error>(item.error()));
      if (item) many.items.push_back(std::move(*item));
    }
    command = std::move(many);
  } else if (name == "get") {
    pending.kind = Kind::get;
    command = persist_parts::parse_get(headers);
  } else if (name == "getAll") {
    pending.kind = Kind::get_all;
    const StorageGetAll range = persist_parts::parse_get_all(headers);
    pending.get_all = std::make_unique<GetAll>(get_alls_);
    pending.get_all->from = range.from;
    pending.get_all->to = range.to;
  } else if (name == "delete") {
    pending.kind = Kind::erase;
    command = persist_parts::parse_delete(headers);
  } else if (name == "config") {
    pending.kind = Kind::config;
    const Value* partial = headers.find("config");
    command = StorageConfigure{partial == nullptr ? Value() : *partial};
  } else if (name == "keys") {
    pending.kind = Kind::keys;
    command = StorageKeys{};
  } else if (name == "inventory") {
    pending.kind = Kind::inventory;
    command = StorageInventory{};
  } else {
    return Error(ErrorKind::not_found);
  }
  return std::nullopt;
}

void PersistServer::Impl::submit(StreamId stream, StorageCommand command, Pending pending) {
  const std::uint64_t token = next_token_++;
  find_stream(stream)->pending.emplace(token, std::move(pending));
  effects_.push_back(persist_effect::Submit{stream, StorageRequest{token, std::move(command)}});
}

void PersistServer::Impl::submit_get_all(StreamId stream, Pending pending) {
  StorageGetAll range;
  range.from = pending.get_all->from;
  range.to = pending.get_all->to;
  // Many answers at the same time have to share what may be held for them.
  const std::size_t share = limits::get_all_total_bytes / std::max<std::size_t>(get_alls_, 1);
  range.max_bytes =
      std::max(std::min(share, pending.get_all->batch_bytes), limits::get_all_min_batch_bytes);
  submit(stream, range, std::move(pending));
}

// ---- answers ----

void PersistServer::Impl::finish(Pending& pending, MessageData data) {
  Socket* socket = find_socket(pending.socket);
  if (socket == nullptr) return;
  --socket->requests;
  socket->bytes -= pending.bytes;
  respond(std::move(pending.reply), std::move(data));
}

void PersistServer::Impl::answer(TimeMs now, StreamId stream, Pending pending,
                                 Result<StorageAnswer> result) {
  if (pending.kind == Kind::enforce) return;
  if (!result) return finish(pending, persist_parts::error_message(result.error()));
  StorageAnswer& answer = *result;
  MessageData data;
  if (auto* set = std::get_if<SetResult>(&answer)) {
    data = persist_parts::set_answer(*set);
  } else if (auto* many = std::get_if<std::vector<Result<SetResult>>>(&answer)) {
    data = persist_parts::set_many_answer(pending.refused, *many);
  } else if (auto* message = std::get_if<std::optional<StoredMessage>>(&answer)) {
    data = persist_parts::get_answer(std::move(*message));
  } else if (auto* range = std::get_if<StorageRange>(&answer)) {
    if (pending.get_all) return answer_range(now, stream, std::move(pending), std::move(*range));
  } else if (auto* seqs = std::get_if<std::vector<StreamSequence>>(&answer)) {
    data = persist_parts::delete_answer(*seqs);
  } else if (auto* value = std::get_if<Value>(&answer)) {
    data = MessageData::of(*value);
  } else if (auto* keys = std::get_if<std::vector<std::string>>(&answer)) {
    data = persist_parts::keys_answer(*keys);
  } else if (auto* inventory = std::get_if<StorageInventoryResult>(&answer)) {
    data = persist_parts::inventory_answer(*inventory);
  } else {
    data = MessageData::of(Value());
  }
  finish(pending, std::move(data));
}

void PersistServer::Impl::answer_range(TimeMs now, StreamId stream, Pending pending,
                                       StorageRange range) {
  GetAll& get_all = *pending.get_all;
  if (find_socket(pending.socket) == nullptr) return;
  persist_effect::Respond batch{pending.reply, {}, 0, pending.socket};
  if (!range.messages.empty()) {
    batch.data = persist_parts::range_message(range.messages, get_all.number++);
  }
  if (!range.next) {
    if (!range.messages.empty()) effects_.push_back(std::move(batch));
    return finish(pending, persist_parts::end_of_range(get_all.number));
  }
  get_all.from = *range.next;
  if (range.messages.empty()) return submit_get_all(stream, std::move(pending));
  // The next batch is read when this one has arrived.
  get_all.sent_at = now;
  batch.flow = next_flow_++;
  flows_.emplace(batch.flow, Flow{stream, std::move(pending)});
  effects_.push_back(std::move(batch));
}

void PersistServer::Impl::on_responded(TimeMs now, std::uint64_t flow, bool delivered) {
  auto found = flows_.find(flow);
  if (found == flows_.end()) return;
  Flow taken = std::move(found->second);
  flows_.erase(found);
  Socket* socket = find_socket(taken.pending.socket);
  if (socket == nullptr) return;
  if (!delivered) {
    return finish(taken.pending, persist_parts::error_message(Error(ErrorKind::disconnected)));
  }
  GetAll& get_all = *taken.pending.get_all;
  const std::int64_t took_ms = now - get_all.sent_at;
  if (took_ms < kFastBatchMs) {
    get_all.batch_bytes = std::min(2 * get_all.batch_bytes, limits::get_all_batch_bytes);
  } else if (took_ms > kSlowBatchMs) {
    get_all.batch_bytes = std::max(get_all.batch_bytes / 4, limits::get_all_min_batch_bytes);
  }
  submit_get_all(taken.stream, std::move(taken.pending));
}

// ---- changefeeds ----

void PersistServer::Impl::start_feed(Socket& socket) {
  if (!socket.feed) socket.feed = std::make_unique<PersistFeed>();
}

void PersistServer::Impl::announce(TimeMs now, OpenedStream& stream,
                                   const std::vector<StreamChange>& changes) {
  if (changes.empty()) return;
  std::vector<EncodedChange> encoded;
  const std::vector<PersistSocketId> sockets = stream.sockets;
  for (const PersistSocketId id : sockets) {
    Socket& socket = *find_socket(id);
    if (!socket.feed) continue;
    if (encoded.empty()) {
      for (const StreamChange& change : changes) {
        encoded.push_back(std::make_shared<const Bytes>(persist_parts::encode_change(change)));
      }
    }
    std::vector<MessageData> messages;
    socket.feed->add(now, encoded, messages);
    write_feed(id, socket, std::move(messages));
  }
}

void PersistServer::Impl::write_feed(PersistSocketId id, Socket& socket,
                                     std::vector<MessageData> messages) {
  for (MessageData& message : messages) {
    effects_.push_back(persist_effect::Write{id, std::move(message)});
  }
  set_timer(Timer::feed, id, socket.feed_at, socket.feed->deadline());
}

}  // namespace conat
