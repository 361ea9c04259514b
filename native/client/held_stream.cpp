#include "client/held_stream.hpp"

#include "client/decoded.hpp"
#include "client/held_stream_state.hpp"
#include "client/stream_state.hpp"

namespace conat::native {
namespace {

constexpr Milliseconds kTombstoneTtl{24 * 60 * 60 * 1000};

template <class Entry>
HeldMessage held_message(const Entry& entry) {
  HeldMessage message;
  message.seq = entry.seq;
  message.time = entry.time;
  if (entry.key) message.key = std::string(*entry.key);
  message.value = decoded(entry.encoding, entry.raw);
  if (!entry.headers.empty()) message.headers = Headers(to_bytes(entry.headers)).value();
  return message;
}

Driver::OnDone status_to(Completion<Status> done) {
  return [done = std::move(done)](const std::optional<Error>& error) {
    done(error ? Status(*error) : Status(Nothing{}));
  };
}

}  // namespace

// ---- what both have ----

void HeldStream::State::open(std::function<void(const std::optional<Error>& error)> done) {
  opening_ = std::move(done);
  auto options = open_options(settings_);
  if (!options.ok()) return opened(options.error());
  options->follow = StreamFollow::everything;
  options->start_seq = settings_.start_seq;
  options->config = settings_.config;
  Driver::HeldHandlers handlers;
  const auto self = shared_from_this();
  handlers.opened = [self](const std::optional<Error>& error) {
    if (error) self->finish();
    self->opened(error);
  };
  handlers.change = [self](const StreamLogChange& change) { self->tell(change); };
  handlers.rejected = [self](const EncodedValue& value, const Error& error) {
    const auto callback = self->on_reject;
    if (callback) callback(decoded(value.encoding, value.raw), error);
  };
  handlers.closed = [self] {
    self->finish();
    self->opened(Error(ErrorKind::closed));
  };
  const Status begun = begin_open(std::move(*options), std::move(handlers));
  if (!begun.ok()) opened(begun.error());
}

void HeldStream::State::opened(const std::optional<Error>& error) {
  if (const auto done = std::exchange(opening_, {})) done(error);
}

void HeldStream::State::tell(const StreamLogChange& change) {
  std::erase_if(watchers_, [](const auto& watcher) { return watcher.expired(); });
  if (watchers_.empty()) return;
  HeldChange told;
  told.is_delete = change.is_delete || change.tombstone;
  told.seq = change.seq;
  told.time = change.time;
  told.key = change.key;
  const Value value = decoded(change.value.encoding, change.value.raw);
  if (change.is_delete) told.previous = value;
  if (!told.is_delete) told.value = value;
  if (change.previous) told.previous = decoded(change.previous->encoding, change.previous->raw);
  told.headers = change.headers.value();
  told.message_id = change.message_id;
  for (const auto& watcher : std::vector(watchers_)) {
    if (const auto queue = watcher.lock()) queue->push(told);
  }
}

void HeldStream::State::ask(const std::string& command, const Value& arguments,
                            Completion<Result<Value>> done) {
  if (!connection) return done(Error(ErrorKind::closed));
  StreamCallOptions options;
  options.timeout_ms = timeout_ms();
  driver->stream_command(below(), command, arguments, options,
                         [done = pending(std::move(done))](const Result<MessageData>& reply, bool) {
                           done(reply.ok() ? reply->decode() : Result<Value>(reply.error()));
                         });
}

void HeldStream::State::erase(const StreamErase& what,
                              Completion<Result<std::vector<StreamSequence>>> done) {
  const Value arguments = erase_arguments(what);
  if (arguments.is_null()) return done(std::vector<StreamSequence>());
  ask("delete", arguments, [self = shared_from_this(), done](const Result<Value>& answer) {
    if (!answer.ok()) return done(answer.error());
    auto seqs = sequence_numbers(*answer);
    if (seqs.ok()) self->forget(*seqs);
    done(std::move(seqs));
  });
}

void HeldStream::State::load(StreamSequence first, Completion<Status> done) {
  if (!connection) return done(Error(ErrorKind::closed));
  const Completion<Status> answer = pending(std::move(done));
  const Status begun = begin_load(first, status_to(answer));
  if (!begun.ok()) answer(begun);
}

void HeldStream::State::watch(const std::shared_ptr<HeldChanges::Queue>& queue) {
  if (!connection) return queue->finish();
  watchers_.push_back(queue);
}

void HeldStream::State::close() {
  if (!connection) return;
  begin_close();
  finish();
}

void HeldStream::State::finish() {
  for (const auto& watcher : std::exchange(watchers_, {})) {
    if (const auto queue = watcher.lock()) queue->finish();
  }
  for (const auto& [call, tell_closed] : std::exchange(calls_, {})) tell_closed();
  on_reject = {};
  connection.reset();
}

// ---- CoreStream ----

const CoreStreamStore* HeldStream::CoreState::store() const {
  return connection ? streams().store(id_) : nullptr;
}

std::size_t HeldStream::CoreState::size() const {
  const CoreStreamStore* held = store();
  return held == nullptr ? 0 : held->log().size();
}

StreamSequence HeldStream::CoreState::start_seq() const {
  const CoreStreamStore* held = store();
  return held == nullptr ? 0 : held->start_seq();
}

HeldMessage HeldStream::CoreState::at(std::size_t index) const {
  return held_message(store()->log().at(index));
}

StreamClientId HeldStream::CoreState::below() const { return streams().stream(id_); }

void HeldStream::CoreState::forget(const std::vector<StreamSequence>& seqs) {
  streams().forget(Driver::now(), id_, seqs);
  driver->turn_soon();
}

Status HeldStream::CoreState::begin_open(StreamOpenOptions options, Driver::HeldHandlers handlers) {
  const auto stream = driver->open_core_stream(std::move(options), std::move(handlers));
  if (!stream.ok()) return stream.error();
  id_ = *stream;
  return Nothing{};
}

Status HeldStream::CoreState::begin_load(StreamSequence first, Driver::OnDone done) {
  return driver->core_stream_load(id_, first, std::move(done));
}

void HeldStream::CoreState::publish(const MessageData& data, const StreamPublishSettings& item,
                                    Completion<Result<SetResult>> done) {
  if (!connection) return done(Error(ErrorKind::closed));
  StreamCallOptions options;
  options.timeout_ms = timeout_ms();
  driver->core_stream_set(id_, {stream_set(data, item)}, options,
                          [done = pending(std::move(done))](const Result<MessageData>& reply,
                                                            bool) { done(stored_result(reply)); });
}

// ---- DStream ----

const DStreamStore* HeldStream::DState::store() const {
  return connection ? streams().store(id_) : nullptr;
}

std::size_t HeldStream::DState::size() const {
  const DStreamStore* held = store();
  return held == nullptr ? 0 : held->size();
}

StreamSequence HeldStream::DState::start_seq() const {
  const DStreamStore* held = store();
  return held == nullptr ? 0 : held->start_seq();
}

HeldMessage HeldStream::DState::at(std::size_t index) const {
  return held_message(store()->entry(index));
}

StreamClientId HeldStream::DState::below() const { return streams().stream(id_); }

void HeldStream::DState::forget(const std::vector<StreamSequence>& seqs) {
  streams().forget(Driver::now(), id_, seqs);
  driver->turn_soon();
}

Status HeldStream::DState::begin_open(StreamOpenOptions options, Driver::HeldHandlers handlers) {
  DStreamOptions own;
  own.stream = std::move(options);
  own.autosave = settings().autosave;
  const auto stream = driver->open_dstream(std::move(own), std::move(handlers));
  if (!stream.ok()) return stream.error();
  id_ = *stream;
  return Nothing{};
}

Status HeldStream::DState::begin_load(StreamSequence first, Driver::OnDone done) {
  return driver->dstream_load(id_, first, std::move(done));
}

Status HeldStream::DState::publish(const Value& value, const Value& headers, Milliseconds ttl) {
  if (!connection) return Error(ErrorKind::closed);
  Status status =
      streams().publish(Driver::now(), id_, {PayloadEncoding::msgpack, encode_msgpack(value)},
                        Headers(headers), ttl.count());
  driver->turn_soon();
  return status;
}

void HeldStream::DState::save(Completion<Status> done) {
  if (!connection) return done(Error(ErrorKind::closed));
  const Completion<Status> answer = pending(std::move(done));
  const Status begun = driver->dstream_save(id_, status_to(answer));
  if (!begun.ok()) answer(begun);
}

// What is to be deleted may be among what is not saved yet.
void HeldStream::DState::erase(const StreamErase& what,
                               Completion<Result<std::vector<StreamSequence>>> done) {
  save([self = shared_from_this(), what, done](const Status& saved) {
    if (!saved.ok()) return done(saved.error());
    self->State::erase(what, done);
  });
}

// ---- the user's side ----

HeldStream::~HeldStream() { close(); }

void HeldStream::close() {
  if (state_) state_->close();
}

asio::io_context& HeldStream::loop() const { return state_->driver->loop(); }

std::size_t HeldStream::size() const { return state_->size(); }

std::optional<HeldMessage> HeldStream::at(std::size_t index) const {
  if (index >= size()) return std::nullopt;
  return state_->at(index);
}

std::optional<Value> HeldStream::get(std::size_t index) const {
  if (auto message = at(index)) return std::move(message->value);
  return std::nullopt;
}

Value::Array HeldStream::all() const {
  Value::Array all;
  const std::size_t count = size();
  all.reserve(count);
  for (std::size_t index = 0; index < count; ++index) all.push_back(state_->at(index).value);
  return all;
}

StreamSequence HeldStream::start_seq() const { return state_->start_seq(); }

HeldChanges HeldStream::changes(std::size_t max_buffered) {
  const auto queue = std::make_shared<HeldChanges::Queue>(loop(), max_buffered, Overflow::error);
  state_->watch(queue);
  return HeldChanges(queue);
}

void HeldStream::begin_load(State& state, StreamSequence first, Completion<Status> done) {
  state.load(first, std::move(done));
}

void HeldStream::begin_erase(State& state, const StreamErase& what,
                             Completion<Result<std::vector<StreamSequence>>> done) {
  state.erase(what, std::move(done));
}

void HeldStream::begin_ask(State& state, const std::string& command, const Value& arguments,
                           Completion<Result<Value>> done) {
  state.ask(command, arguments, std::move(done));
}

std::optional<Value> CoreStream::get_key(std::string_view key) const {
  const CoreStreamStore* held = static_cast<CoreState&>(*state_).store();
  const auto seq = held == nullptr ? std::nullopt : held->key_seq(key);
  const auto entry = seq ? held->log().find(*seq) : std::nullopt;
  if (!entry) return std::nullopt;
  return decoded(entry->encoding, entry->raw);
}

bool CoreStream::has_key(std::string_view key) const { return key_seq(key).has_value(); }

std::optional<StreamSequence> CoreStream::key_seq(std::string_view key) const {
  const CoreStreamStore* held = static_cast<CoreState&>(*state_).store();
  return held == nullptr ? std::nullopt : held->key_seq(key);
}

std::size_t CoreStream::key_count() const {
  const CoreStreamStore* held = static_cast<CoreState&>(*state_).store();
  return held == nullptr ? 0 : held->key_count();
}

std::vector<std::string> CoreStream::keys() const {
  std::vector<std::string> keys;
  const CoreStreamStore* held = static_cast<CoreState&>(*state_).store();
  if (held == nullptr) return keys;
  held->for_each_key([&](std::string_view key, StreamSequence) { keys.emplace_back(key); });
  return keys;
}

Value::Map CoreStream::all_keys() const {
  Value::Map all;
  const CoreStreamStore* held = static_cast<CoreState&>(*state_).store();
  if (held == nullptr) return all;
  held->for_each_key([&](std::string_view key, StreamSequence seq) {
    if (const auto entry = held->log().find(seq)) {
      all.emplace_back(key, decoded(entry->encoding, entry->raw));
    }
  });
  return all;
}

std::uint64_t CoreStream::bytes() const {
  const CoreStreamStore* held = static_cast<CoreState&>(*state_).store();
  return held == nullptr ? 0 : held->log().bytes();
}

StreamPublishSettings CoreStream::tombstone(std::string key) {
  StreamPublishSettings settings;
  settings.key = std::move(key);
  settings.ttl = kTombstoneTtl;
  settings.headers.set(header::tombstone, Value(true));
  return settings;
}

void CoreStream::begin_publish(State& state, const MessageData& data,
                               const StreamPublishSettings& settings,
                               Completion<Result<SetResult>> done) {
  static_cast<CoreState&>(state).publish(data, settings, std::move(done));
}

Status DStream::publish(const Value& value, const Value& headers, Milliseconds ttl) {
  return static_cast<DState&>(*state_).publish(value, headers, ttl);
}

void DStream::begin_save(State& state, Completion<Status> done) {
  static_cast<DState&>(state).save(std::move(done));
}

std::size_t DStream::unsaved_count() const {
  const DStreamStore* held = static_cast<DState&>(*state_).store();
  return held == nullptr ? 0 : held->unsaved_count();
}

bool DStream::is_stable() const {
  const DStreamStore* held = static_cast<DState&>(*state_).store();
  return held == nullptr || held->is_stable();
}

void DStream::on_reject(std::function<void(const Value& value, const Error& error)> callback) {
  if (state_->connection) state_->on_reject = std::move(callback);
}

}  // namespace conat::native
