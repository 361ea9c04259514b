// The synchronized structures of the peer: opened by kind and name, changed, shown.
//
// Requests {op: "store", action, kind, name, ...}; the answer's `result` is null unless said
// otherwise. Actions:
//   open   {merge?, project_id?}   the kinds: dkv, dko, cstream, dstream, akv, astream, pubsub
//   close
//   set    {key, value}, delete {key}      dkv, dko, akv, and cstream by key
//   edit   {key, edits}                    dkv: each of the edits, on what is there at that moment
//   claim  {key, value, seq}               akv: only if the key's message has this number
//   publish {values}                       cstream, dstream, astream, pubsub
//   erase  {up_to}                         cstream, dstream, astream
//   save                                   dkv, dko, dstream
//   show   {}                              -> what is there: a map, or an array of values
//   keyed  {}                              -> what a cstream has by key
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <map>
#include <string>

#include "client/client.hpp"

namespace peer {

using namespace conat::native;

inline Status status_of(const Status& status) { return status; }
template <class T>
Status status_of(const Result<T>& result) {
  return result.ok() ? Status(Nothing{}) : Status(result.error());
}

class Stores {
 public:
  explicit Stores(Client client) : client_(std::move(client)) {}

  Awaitable<Result<Value>> carry_out(Value request) {
    const std::string action = text(request, "action");
    const std::string kind = text(request, "kind");
    const std::string name = text(request, "name");
    Result<Value> result = Error(ErrorKind::invalid_argument, "unknown action " + action);
    if (action == "open") {
      result = done(co_await open(kind, name, request));
    } else if (kind == "dkv") {
      result = co_await on_local(dkvs_.at(name), action, request);
    } else if (kind == "dko") {
      result = co_await on_local(dkos_.at(name), action, request);
    } else if (kind == "cstream") {
      result = co_await on_cstream(cstreams_.at(name), action, request);
    } else if (kind == "dstream") {
      result = co_await on_dstream(dstreams_.at(name), action, request);
    } else if (kind == "akv") {
      result = co_await on_akv(akvs_.at(name), action, request);
    } else if (kind == "astream") {
      result = co_await on_astream(astreams_.at(name), action, request);
    } else if (kind == "pubsub") {
      result = on_pubsub(*pubsubs_.at(name), action, request);
    }
    if (!result.ok()) co_return result.error();
    co_return object("result", *result);
  }

 private:
  struct Broadcast {
    explicit Broadcast(PubSub opened) : pubsub(std::move(opened)) {}
    PubSub pubsub;
    Value::Array received;
  };

  static std::string text(const Value& request, const char* name) {
    const Value* found = request.find(name);
    return found == nullptr ? std::string() : std::string(found->text_or({}));
  }
  static Value field(const Value& request, const char* name) {
    const Value* found = request.find(name);
    return found == nullptr ? Value() : *found;
  }
  static Value::Array items(const Value& request, const char* name) {
    const Value value = field(request, name);
    return value.if_array() == nullptr ? Value::Array() : *value.if_array();
  }
  static Result<Value> done(const Status& status) {
    return status.ok() ? Result<Value>(Value()) : Result<Value>(status.error());
  }
  static StreamErase up_to(const Value& request) {
    StreamErase erase;
    erase.up_to = field(request, "up_to").integer_or(0);
    return erase;
  }
  template <class Stores, class Opened>
  static Status keep(Stores& stores, const std::string& name, Opened& opened) {
    if (!opened.ok()) return opened.error();
    stores.erase(name);
    stores.emplace(name, std::move(*opened));
    return Nothing{};
  }

  Awaitable<Status> open(std::string kind, std::string name, Value request) {
    if (kind == "dkv") {
      DkvSettings settings(name);
      settings.merge = conat::merge_kind(text(request, "merge")).value_or(MergeKind::none);
      auto opened = co_await client_.dkv(settings);
      co_return keep(dkvs_, name, opened);
    }
    if (kind == "dko") {
      auto opened = co_await client_.dko(DkoSettings(name));
      co_return keep(dkos_, name, opened);
    }
    if (kind == "cstream") {
      auto opened = co_await client_.core_stream(HeldStreamSettings(name));
      co_return keep(cstreams_, name, opened);
    }
    if (kind == "dstream") {
      auto opened = co_await client_.dstream(HeldStreamSettings(name));
      co_return keep(dstreams_, name, opened);
    }
    if (kind == "akv") {
      auto opened = client_.akv(StreamSettings(name));
      co_return keep(akvs_, name, opened);
    }
    if (kind == "astream") {
      auto opened = client_.stream(StreamSettings(name));
      co_return keep(astreams_, name, opened);
    }
    if (kind != "pubsub") co_return Error(ErrorKind::invalid_argument, "unknown kind " + kind);
    auto opened = co_await client_.pubsub(PubSubSettings(text(request, "project_id"), name));
    if (!opened.ok()) co_return opened.error();
    const auto broadcast = std::make_shared<Broadcast>(std::move(*opened));
    pubsubs_[name] = broadcast;
    boost::asio::co_spawn(client_.loop(), listen(broadcast), boost::asio::detached);
    co_return Nothing{};
  }

  static Awaitable<void> listen(std::shared_ptr<Broadcast> broadcast) {
    while (auto value = co_await broadcast->pubsub.next()) {
      broadcast->received.push_back(std::move(*value));
    }
  }

  // Dkv and Dko.
  template <class Store>
  static Awaitable<Result<Value>> on_local(Store& store, std::string action, Value request) {
    const std::string key = text(request, "key");
    if (action == "set") co_return done(store.set(key, field(request, "value")));
    if (action == "delete") co_return done(store.erase(key));
    if (action == "show") co_return Value(store.all());
    if (action == "save") {
      const Status saved = co_await store.save();
      co_return done(saved);
    }
    if (action == "edit") {
      Status status = Nothing{};
      for (const Value& edit : items(request, "edits")) {
        const Value before = store.get(key).value_or(Value());
        if (status.ok()) status = store.set(key, edited(before, edit));
      }
      co_return done(status);
    }
    if (action != "close") co_return Error(ErrorKind::invalid_argument, "cannot " + action);
    store.close();
    co_return Value();
  }

  // {assign: {fields}} | {add: number} | {include: item} | {exclude: item} | {replace: [text,
  // text]}
  static Value edited(Value value, const Value& edit) {
    if (const Value* fields = edit.find("assign")) {
      for (const auto& [name, each] : *fields->if_map()) value.set(name, each);
    } else if (const Value* number = edit.find("add")) {
      value = Value(value.integer_or(0) + number->integer_or(0));
    } else if (const Value* item = edit.find("include")) {
      value.if_array()->push_back(*item);
    } else if (const Value* gone = edit.find("exclude")) {
      std::erase(*value.if_array(), *gone);
    } else if (const Value* texts = edit.find("replace")) {
      std::string whole(value.text_or({}));
      const std::string from(texts->if_array()->front().text_or({}));
      const std::size_t at = whole.find(from);
      if (at != std::string::npos) {
        whole.replace(at, from.size(), texts->if_array()->back().text_or({}));
      }
      value = Value(std::move(whole));
    }
    return value;
  }

  static Awaitable<Result<Value>> on_cstream(CoreStream& stream, std::string action,
                                             Value request) {
    const std::string key = text(request, "key");
    if (action == "show") co_return Value(stream.all());
    if (action == "keyed") co_return Value(stream.all_keys());
    if (action == "close") stream.close();
    if (action == "set") {
      const auto stored = co_await stream.set_key(key, field(request, "value"));
      co_return done(status_of(stored));
    }
    if (action == "delete") {
      const auto stored = co_await stream.erase_key(key);
      co_return done(status_of(stored));
    }
    if (action == "erase") {
      const auto gone = co_await stream.erase(up_to(request));
      co_return done(status_of(gone));
    }
    for (const Value& value : items(request, "values")) {
      const auto stored = co_await stream.publish(value);
      if (!stored.ok()) co_return stored.error();
    }
    co_return Value();
  }

  static Awaitable<Result<Value>> on_dstream(DStream& stream, std::string action, Value request) {
    if (action == "show") co_return Value(stream.all());
    if (action == "close") stream.close();
    if (action == "save") {
      const Status saved = co_await stream.save();
      co_return done(saved);
    }
    if (action == "erase") {
      const auto gone = co_await stream.erase(up_to(request));
      co_return done(status_of(gone));
    }
    Status status = Nothing{};
    for (const Value& value : items(request, "values")) {
      if (status.ok()) status = stream.publish(value);
    }
    co_return done(status);
  }

  static Awaitable<Result<Value>> on_akv(Akv& store, std::string action, Value request) {
    const std::string key = text(request, "key");
    if (action == "close") store.close();
    if (action == "set" || action == "claim") {
      StreamPublishSettings settings;
      if (action == "claim") settings.previous_seq = field(request, "seq").integer_or(0);
      const auto stored = co_await store.set(key, field(request, "value"), settings);
      co_return done(status_of(stored));
    }
    if (action == "delete") {
      const auto stored = co_await store.erase(key);
      co_return done(status_of(stored));
    }
    if (action != "show") co_return Value();
    const auto keys = co_await store.keys();
    if (!keys.ok()) co_return keys.error();
    Value all(Value::Map{});
    for (const Value& each : *keys->if_array()) {
      const std::string name(each.text_or({}));
      const auto value = co_await store.get(name);
      if (!value.ok()) co_return value.error();
      if (*value) all.set(name, **value);
    }
    co_return all;
  }

  static Awaitable<Result<Value>> on_astream(Stream& stream, std::string action, Value request) {
    if (action == "close") stream.close();
    if (action == "erase") {
      const auto gone = co_await stream.erase(up_to(request));
      co_return done(status_of(gone));
    }
    if (action == "show") {
      Value::Array all;
      auto reader = stream.read();
      while (const auto batch = co_await reader.next()) {
        for (const StreamMessage& message : *batch) {
          const Result<Value> value = decode(message);
          if (!value.ok()) co_return value.error();
          all.push_back(*value);
        }
      }
      if (reader.error()) co_return *reader.error();
      co_return Value(std::move(all));
    }
    for (const Value& value : items(request, "values")) {
      const auto stored = co_await stream.publish(value);
      if (!stored.ok()) co_return stored.error();
    }
    co_return Value();
  }

  static Result<Value> on_pubsub(Broadcast& broadcast, const std::string& action,
                                 const Value& request) {
    if (action == "show") return Value(broadcast.received);
    if (action == "close") broadcast.pubsub.close();
    Status status = Nothing{};
    for (const Value& value : items(request, "values")) {
      if (status.ok()) status = broadcast.pubsub.set(value);
    }
    return done(status);
  }

  Client client_;
  std::map<std::string, Dkv> dkvs_;
  std::map<std::string, Dko> dkos_;
  std::map<std::string, CoreStream> cstreams_;
  std::map<std::string, DStream> dstreams_;
  std::map<std::string, Akv> akvs_;
  std::map<std::string, Stream> astreams_;
  std::map<std::string, std::shared_ptr<Broadcast>> pubsubs_;
};

}  // namespace peer
