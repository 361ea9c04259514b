#include "client/stream.hpp"

#include "client/stream_state.hpp"
#include "conat/sync/stream_codec.hpp"

namespace conat::native {
namespace {

constexpr std::size_t kMaxUnreadUpdates = 1'000'000;

// The answer to `get`: the message, whose place in the stream is told by headers of their own.
Result<std::optional<StreamMessage>> stored_message(Result<MessageData> reply) {
  if (!reply.ok()) return reply.error();
  if (reply->headers.empty()) return std::optional<StreamMessage>();
  StreamMessage message;
  Headers headers = std::move(reply->headers);
  const auto seq = headers.get("seq");
  const auto time = headers.get("time");
  message.seq = seq ? seq->integer_or(0) : 0;
  message.time = time ? static_cast<UnixMs>(time->number_or(0)) : 0;
  if (message.seq <= 0) return Error(ErrorKind::malformed, "malformed answer to get");
  if (const auto key = headers.text("key")) message.key = std::string(*key);
  for (const std::string_view name : {"seq", "time", "key"}) headers.erase(name);
  const Value rest = headers.value();
  if (rest.if_map() != nullptr && !rest.if_map()->empty()) message.headers = std::move(headers);
  message.encoding = reply->encoding;
  message.raw = std::move(reply->raw);
  return std::optional<StreamMessage>(std::move(message));
}

}  // namespace

Result<StreamOpenOptions> open_options(const StreamSettings& settings) {
  auto location = store_location(settings.name, settings.account_id, settings.project_id);
  if (!location.ok()) return location.error();
  StreamOpenOptions options;
  options.scope = std::move(location->scope);
  options.path = std::move(location->path);
  options.service = settings.service;
  options.ephemeral = settings.ephemeral;
  options.sync = settings.sync;
  options.follow = StreamFollow::nothing;
  return options;
}

StreamSet stream_set(const MessageData& data, const StreamPublishSettings& settings) {
  StreamSet item;
  if (settings.key) item.key = *settings.key;
  item.encoding = data.encoding;
  item.raw = data.raw;
  item.headers = data.headers;
  item.ttl_ms = settings.ttl.count();
  item.previous_seq = settings.previous_seq;
  item.message_id = settings.message_id;
  return item;
}

Result<SetResult> stored_result(const Result<MessageData>& reply) {
  if (!reply.ok()) return reply.error();
  auto results = parse_set_many_answer(*reply);
  if (!results.ok()) return results.error();
  if (results->size() != 1) return Error(ErrorKind::malformed, "malformed answer to setMany");
  return std::move(results->front());
}

Value erase_arguments(const StreamErase& what) {
  Value arguments;
  if (what.all) arguments.set("all", Value(true));
  if (what.up_to) arguments.set("last_seq", Value(*what.up_to));
  if (!what.seqs.empty()) {
    Value::Array seqs(what.seqs.begin(), what.seqs.end());
    arguments.set("seqs", Value(std::move(seqs)));
  }
  return arguments;
}

Result<std::vector<StreamSequence>> sequence_numbers(const Value& answer) {
  const Value* seqs = answer.find("seqs");
  const Value::Array* items = seqs == nullptr ? nullptr : seqs->if_array();
  if (items == nullptr) return Error(ErrorKind::malformed, "malformed answer to delete");
  std::vector<StreamSequence> result;
  result.reserve(items->size());
  for (const Value& item : *items) result.push_back(item.integer_or(0));
  return result;
}

// ---- one stream ----

Status Stream::State::open() {
  Driver::StreamHandlers handlers;
  handlers.failed = [self = shared_from_this()](const Error& error) {
    self->failure = error;
    self->connection.reset();
  };
  auto options = open_options(settings);
  if (!options.ok()) return options.error();
  auto stream = driver->open_stream(std::move(*options), std::move(handlers));
  if (!stream.ok()) return stream.error();
  id = *stream;
  return Nothing{};
}

void Stream::State::command(const std::string& name, const Value& arguments, bool many,
                            Driver::OnStreamAnswer on_answer) {
  if (failure) return on_answer(*failure, true);
  StreamCallOptions options;
  options.timeout_ms = settings.timeout.count();
  options.many = many;
  driver->stream_command(id, name, arguments, options, pending(std::move(on_answer)));
}

Driver::OnStreamAnswer Stream::State::pending(Driver::OnStreamAnswer on_answer) {
  const std::uint64_t call = ++last_call_;
  calls_[call] = std::move(on_answer);
  return [self = shared_from_this(), call](Result<MessageData> reply, bool last) {
    const auto found = self->calls_.find(call);
    if (found == self->calls_.end()) return;
    const auto callback = found->second;
    if (last) self->calls_.erase(found);
    if (!reply.ok() && self->failure) return callback(*self->failure, last);
    callback(std::move(reply), last);
  };
}

void Stream::State::close() {
  if (!failure) failure = Error(ErrorKind::closed);
  for (const auto& [call, callback] : std::exchange(calls_, {})) callback(*failure, true);
  if (!connection) return;
  driver->close_stream(id);
  connection.reset();
}

Stream::~Stream() { close(); }

void Stream::close() {
  if (state_) state_->close();
}

asio::io_context& Stream::loop() const { return state_->driver->loop(); }

void Stream::begin_publish(State& state, const MessageData& data,
                           const StreamPublishSettings& settings,
                           Completion<Result<SetResult>> done) {
  if (state.failure) return done(*state.failure);
  StreamCallOptions options;
  options.timeout_ms = state.settings.timeout.count();
  state.driver->stream_set(state.id, {stream_set(data, settings)}, options,
                           state.pending([done](const Result<MessageData>& reply, bool) {
                             done(stored_result(reply));
                           }));
}

void Stream::begin_get(State& state, const Value& arguments,
                       Completion<Result<std::optional<StreamMessage>>> done) {
  state.command("get", arguments, false, [done](Result<MessageData> reply, bool) {
    done(stored_message(std::move(reply)));
  });
}

void Stream::begin_erase(State& state, const StreamErase& what,
                         Completion<Result<std::vector<StreamSequence>>> done) {
  const Value arguments = erase_arguments(what);
  if (arguments.is_null()) return done(std::vector<StreamSequence>());
  begin_ask(state, "delete", arguments, [done](Result<Value> answer) {
    if (!answer.ok()) return done(answer.error());
    done(sequence_numbers(*answer));
  });
}

void Stream::begin_ask(State& state, const std::string& command, const Value& arguments,
                       Completion<Result<Value>> done) {
  state.command(command, arguments, false, [done](Result<MessageData> reply, bool) {
    if (!reply.ok()) return done(reply.error());
    done(reply->decode());
  });
}

StreamReader Stream::read(StreamSequence first, StreamSequence last) {
  const auto queue = std::make_shared<StreamReader::Queue>(loop(), 0, Overflow::error);
  Value arguments;
  if (first > 0) arguments.set("start_seq", Value(first));
  if (last > 0) arguments.set("end_seq", Value(last));
  state_->command("getAll", arguments, true, [queue](Result<MessageData> reply, bool is_last) {
    if (!reply.ok()) return queue->finish(reply.error());
    if (is_null_payload(*reply)) return queue->finish();
    auto messages = parse_messages(*reply);
    if (!messages.ok()) return queue->finish(messages.error());
    queue->push(std::move(*messages));
    if (is_last) queue->finish();
  });
  return StreamReader(queue);
}

// ---- updates ----

Status StreamUpdates::State::open(const StreamSettings& settings,
                                  std::optional<StreamSequence> first) {
  auto options = open_options(settings);
  if (!options.ok()) return options.error();
  options->follow = first ? StreamFollow::everything : StreamFollow::changes;
  if (first) options->start_seq = *first;
  Driver::StreamHandlers handlers;
  const auto self = shared_from_this();
  handlers.snapshot = [self](stream_client_effect::Snapshot snapshot) {
    for (StreamMessage& message : snapshot.messages) self->on_message(std::move(message));
  };
  handlers.changes = [self](stream_client_effect::Changes changes) {
    for (StreamUpdate& update : changes.changes) {
      if (update.is_delete) {
        self->push(std::move(update));
      } else {
        self->on_message(std::move(update.message));
      }
    }
  };
  handlers.connection = [self](bool connected) {
    self->following_ = connected;
    if (connected) self->tell(Nothing{});
  };
  handlers.failed = [self](const Error& error) { self->finish(error); };
  auto stream = driver->open_stream(std::move(*options), std::move(handlers));
  if (!stream.ok()) return stream.error();
  id = *stream;
  return Nothing{};
}

// A stream that was lost for long is told anew from its beginning.
void StreamUpdates::State::on_message(StreamMessage message) {
  if (message.seq <= last_seq_) return;
  last_seq_ = message.seq;
  StreamUpdate update;
  update.message = std::move(message);
  push(std::move(update));
}

void StreamUpdates::State::push(StreamUpdate update) {
  if (!queue->push(std::move(update))) close();
}

void StreamUpdates::State::wait(Completion<Status> done) {
  if (queue->ended()) return done(queue->error().value_or(Error(ErrorKind::closed)));
  if (following_) return done(Nothing{});
  waiting_.push_back(std::move(done));
}

void StreamUpdates::State::tell(const Status& status) {
  for (const auto& done : std::exchange(waiting_, {})) done(status);
}

void StreamUpdates::State::finish(std::optional<Error> error) {
  connection.reset();
  tell(error.value_or(Error(ErrorKind::closed)));
  queue->finish(std::move(error));
}

void StreamUpdates::State::close() {
  if (!connection) return;
  driver->close_stream(id);
  finish(std::nullopt);
}

StreamUpdates::~StreamUpdates() { close(); }

void StreamUpdates::close() {
  if (state_) state_->close();
}

const std::shared_ptr<StreamUpdates::Queue>& StreamUpdates::queue() const { return state_->queue; }

void StreamUpdates::begin_wait(State& state, Completion<Status> done) {
  state.wait(std::move(done));
}

Result<StreamUpdates> Stream::follow(std::optional<StreamSequence> first) {
  if (state_->failure) return *state_->failure;
  const auto updates = std::make_shared<StreamUpdates::State>(
      state_->connection,
      std::make_shared<StreamUpdates::Queue>(loop(), kMaxUnreadUpdates, Overflow::error));
  if (Status opened = updates->open(state_->settings, first); !opened.ok()) return opened.error();
  return StreamUpdates(updates);
}

}  // namespace conat::native
