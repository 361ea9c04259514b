// kv get, set, delete, ls, watch.
#include <memory>
#include <string>

#include "cli/commands.hpp"
#include "cli/values.hpp"

namespace conat::cli {
namespace {

class KvCommand : public std::enable_shared_from_this<KvCommand> {
 public:
  explicit KvCommand(Session& session) : session_(session), options_(session.options()) {}

  void begin() {
    DkvOptions options;
    options.stream.scope = options_.scope;
    options.stream.path = options_.path;
    options.stream.ephemeral = options_.ephemeral;
    native::DkvHandlers handlers;
    const auto self = shared_from_this();
    handlers.opened = [self](const std::optional<Error>& error) { self->on_opened(error); };
    handlers.rejected = [self](const dkv_effect::Rejected& rejected) {
      self->session_.fail(rejected.error);
    };
    handlers.change = [self](const dkv_effect::Change& change) { self->on_change(change); };
    session_.expect("opening the store (is there a persistence server?)");
    const Result<DkvId> dkv = session_.client().open_dkv(std::move(options), std::move(handlers));
    if (!dkv.ok()) return session_.fail(dkv.error());
    dkv_ = *dkv;
  }

 private:
  void on_opened(const std::optional<Error>& error) {
    session_.done_waiting();
    if (error) return session_.fail(*error);
    switch (options_.command) {
      case Command::kv_get:
        return get();
      case Command::kv_set:
        return change(session_.client().dkv_set(
            dkv_, options_.key,
            {PayloadEncoding::msgpack, encode_msgpack(parse_value(*options_.value))}));
      case Command::kv_delete:
        if (!dkvs().has(dkv_, options_.key)) return not_found();
        return change(session_.client().dkv_erase(dkv_, options_.key));
      case Command::kv_list:
        return list();
      default:
        watching_ = true;
        session_.runs_until_interrupted();
        if (!options_.json) session_.complain("watching " + options_.store);
    }
  }

  Dkvs& dkvs() { return session_.client().fabric().dkvs(); }

  void not_found() {
    session_.fail(Error(ErrorKind::not_found, "there is no key '" + options_.key + "'"));
  }

  std::string shown(const Value& value) const {
    return options_.json ? encode_json(value) : show_value(value);
  }

  void get() {
    const std::optional<EncodedValue> value = dkvs().get(dkv_, options_.key);
    if (!value) return not_found();
    session_.print(shown(decode_or_bytes(value->encoding, value->raw)));
    session_.finish(exit_ok);
  }

  void change(const Status& status) {
    if (!status.ok()) return session_.fail(status.error());
    session_.expect("saving");
    const Status saving = session_.client().dkv_save(
        dkv_, [self = shared_from_this()](const std::optional<Error>& error) {
          if (error) return self->session_.fail(*error);
          self->session_.finish(exit_ok);
        });
    if (!saving.ok()) session_.fail(saving.error());
  }

  void list() {
    Value::Map all;
    dkvs().for_each(dkv_, [&](std::string_view key, PayloadEncoding encoding, ByteView raw) {
      Value value = decode_or_bytes(encoding, raw);
      if (options_.json) {
        all.emplace_back(std::string(key), std::move(value));
      } else {
        session_.print(std::string(key) + "\t" + show_value(value));
      }
      return true;
    });
    if (options_.json) session_.print(encode_json(Value(std::move(all))));
    session_.finish(exit_ok);
  }

  void on_change(const dkv_effect::Change& change) {
    if (!watching_ || (!options_.key.empty() && change.key != options_.key)) return;
    if (options_.count != 0 && seen_ >= options_.count) return;
    Value::Map map{{"key", Value(change.key)}};
    if (change.value) {
      Value value = decode_or_bytes(change.value->encoding, change.value->raw);
      if (!options_.json) session_.print(change.key + "\t" + show_value(value));
      map.emplace_back("value", std::move(value));
    } else {
      if (!options_.json) session_.print(change.key + "\t(deleted)");
      map.emplace_back("deleted", Value(true));
    }
    if (options_.json) session_.print(encode_json(Value(std::move(map))));
    if (++seen_ == options_.count) session_.finish(exit_ok);
  }

  Session& session_;
  const Options& options_;
  DkvId dkv_ = 0;
  bool watching_ = false;
  std::uint64_t seen_ = 0;
};

}  // namespace

void begin_kv(Session& session) { std::make_shared<KvCommand>(session)->begin(); }

}  // namespace conat::cli
