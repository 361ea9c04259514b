#include "client/dkv.hpp"

#include "client/decoded.hpp"
#include "client/dkv_state.hpp"

namespace conat::native {
namespace {

Result<DkvOptions> core_options(const DkvSettings& settings) {
  auto location = store_location(settings.name, settings.account_id, settings.project_id);
  if (!location.ok()) return location.error();
  DkvOptions options;
  options.stream.scope = std::move(location->scope);
  options.stream.path = std::move(location->path);
  options.stream.service = settings.service;
  options.stream.ephemeral = settings.ephemeral;
  options.stream.sync = settings.sync;
  options.stream.config = settings.config;
  options.merge = settings.merge;
  options.autosave = settings.autosave;
  return options;
}

}  // namespace

void Dkv::State::open(Completion<Result<Dkv>> done) {
  opening_ = std::move(done);
  Driver::DkvHandlers handlers;
  const auto self = shared_from_this();
  handlers.opened = [self](const std::optional<Error>& error) {
    if (error) {
      self->connection.reset();
      self->opened(*error);
    } else {
      self->opened(Dkv(self));
    }
  };
  handlers.change = [self](const dkv_effect::Change& change) { self->tell(change); };
  handlers.rejected = [self](const dkv_effect::Rejected& rejected) {
    const auto callback = self->on_reject;
    if (callback) callback(rejected.key, rejected.error);
  };
  handlers.merge = [self](const dkv_effect::MergeNeeded& conflict) { self->merge(conflict); };
  handlers.closed = [self] {
    self->finish();
    self->opened(Error(ErrorKind::closed));
  };
  auto options = core_options(settings_);
  if (!options.ok()) return opened(options.error());
  const Result<DkvId> dkv = driver->open_dkv(std::move(*options), std::move(handlers));
  if (!dkv.ok()) return opened(dkv.error());
  id = *dkv;
}

void Dkv::State::opened(Result<Dkv> result) {
  if (const auto done = std::exchange(opening_, {})) done(std::move(result));
}

void Dkv::State::tell(const dkv_effect::Change& change) {
  std::erase_if(watchers, [](const auto& watcher) { return watcher.expired(); });
  const auto callback = on_change;
  if (watchers.empty() && !callback) return;
  const DkvChange told{change.key, decoded(change.value), decoded(change.previous)};
  for (const auto& watcher : std::vector(watchers)) {
    if (const auto queue = watcher.lock()) queue->push(told);
  }
  if (callback) callback(told);
}

void Dkv::State::merge(const dkv_effect::MergeNeeded& conflict) {
  std::optional<std::optional<EncodedValue>> merged;  // nothing: the local value stays
  if (settings_.merge_function) {
    const std::optional<Value> value =
        settings_.merge_function({conflict.key, decoded(conflict.local), decoded(conflict.remote),
                                  decoded(conflict.previous)});
    merged.emplace();
    if (value) *merged = EncodedValue{PayloadEncoding::msgpack, encode_msgpack(*value)};
  }
  dkvs().resolve_merge(Driver::now(), id, conflict.merge, std::move(merged));
  driver->turn_soon();
}

// Remembered here, because a closed store reports nothing more.
void Dkv::State::save(Completion<Status> done) {
  if (!connection) return done(Error(ErrorKind::closed));
  const std::uint64_t number = ++last_save_;
  const Status begun =
      driver->dkv_save(id, [self = shared_from_this(), number](const std::optional<Error>& error) {
        const auto found = self->saves_.find(number);
        if (found == self->saves_.end()) return;
        const Completion<Status> callback = std::move(found->second);
        self->saves_.erase(found);
        callback(error ? Status(*error) : Status(Nothing{}));
      });
  if (!begun.ok()) return done(begun.error());
  saves_[number] = std::move(done);
}

void Dkv::State::close() {
  if (!connection) return;
  driver->close_dkv(id);
  finish();
}

void Dkv::State::finish() {
  for (const auto& watcher : std::exchange(watchers, {})) {
    if (const auto queue = watcher.lock()) queue->finish();
  }
  for (const auto& [number, done] : std::exchange(saves_, {})) done(Error(ErrorKind::closed));
  on_change = {};
  on_reject = {};
  connection.reset();
}

// ---- the user's side ----

Dkv::Dkv(std::shared_ptr<State> state) : state_(std::move(state)) {}

Dkv::~Dkv() { close(); }

void Dkv::close() {
  if (state_) state_->close();
}

asio::io_context& Dkv::loop() const { return state_->driver->loop(); }

std::optional<Value> Dkv::get(std::string_view key) const {
  return decoded(state_->dkvs().get(state_->id, key));
}

bool Dkv::has(std::string_view key) const { return state_->dkvs().has(state_->id, key); }

std::size_t Dkv::size() const { return state_->dkvs().size(state_->id); }

std::vector<std::string> Dkv::keys() const {
  std::vector<std::string> keys;
  state_->dkvs().for_each(state_->id, [&](std::string_view key, PayloadEncoding, ByteView) {
    keys.emplace_back(key);
    return true;
  });
  return keys;
}

Value::Map Dkv::all() const {
  Value::Map all;
  state_->dkvs().for_each(state_->id,
                          [&](std::string_view key, PayloadEncoding encoding, ByteView raw) {
                            all.emplace_back(key, decoded(encoding, raw));
                            return true;
                          });
  return all;
}

std::optional<StreamSequence> Dkv::seq(std::string_view key) const {
  return state_->dkvs().seq(state_->id, key);
}

std::optional<UnixMs> Dkv::time(std::string_view key) const {
  return state_->dkvs().time(state_->id, key);
}

Value Dkv::headers(std::string_view key) const {
  return state_->dkvs().headers(state_->id, key).value();
}

Status Dkv::set(std::string_view key, const Value& value, const Value& headers) {
  if (!state_->connection) return Error(ErrorKind::closed);
  Status status =
      state_->dkvs().set(Driver::now(), state_->id, key,
                         {PayloadEncoding::msgpack, encode_msgpack(value)}, Headers(headers));
  state_->driver->turn_soon();
  return status;
}

Status Dkv::erase(std::string_view key) {
  if (!state_->connection) return Error(ErrorKind::closed);
  Status status = state_->dkvs().erase(Driver::now(), state_->id, key);
  state_->driver->turn_soon();
  return status;
}

Status Dkv::clear() {
  if (!state_->connection) return Error(ErrorKind::closed);
  Status status = state_->dkvs().clear(Driver::now(), state_->id);
  state_->driver->turn_soon();
  return status;
}

void Dkv::begin_save(State& state, Completion<Status> done) { state.save(std::move(done)); }

bool Dkv::has_unsaved_changes() const { return state_->dkvs().has_unsaved_changes(state_->id); }

std::vector<std::string> Dkv::unsaved_changes() const {
  return state_->dkvs().unsaved_changes(state_->id);
}

bool Dkv::is_stable() const { return state_->dkvs().is_stable(state_->id); }

DkvChanges Dkv::changes(std::size_t max_buffered) {
  const auto queue = std::make_shared<DkvChanges::Queue>(loop(), max_buffered, Overflow::error);
  if (state_->connection) {
    state_->watchers.push_back(queue);
  } else {
    queue->finish();
  }
  return DkvChanges(queue);
}

void Dkv::on_change(std::function<void(const DkvChange&)> callback) {
  if (state_->connection) state_->on_change = std::move(callback);
}

void Dkv::on_reject(std::function<void(const std::string&, const Error&)> callback) {
  if (state_->connection) state_->on_reject = std::move(callback);
}

}  // namespace conat::native
