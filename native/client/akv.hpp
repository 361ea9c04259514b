// A key-value store that is asked at every call instead of being held here: for stores of which a
// program needs a few keys. It shares its data with the Dkv of the same name.
//
//   auto store = client.akv({"settings"});
//   co_await store->set("theme", "dark");
//   auto theme = co_await store->get("theme");  // Result<std::optional<Value>>
//
// (The stream that is asked at every call, AStream, is Stream: see stream.hpp.)
//
// Errors: 408 and 503 (whether a write took effect is unknown; with a message_id it may be
// repeated), `closed`, and 400, 403 or 429 when the server refuses the store.
// Thread safety: none, the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/stream.hpp"

namespace conat::native {

class Akv {
 public:
  // -> Result<std::optional<Value>>: nothing when there is none, or it was deleted.
  template <class Token = DefaultToken>
  auto get(std::string key, Token&& token = {}) {
    return initiate<Result<std::optional<Value>>>(
        stream_->loop(), token,
        [stream = stream_,
         key = std::move(key)](Completion<Result<std::optional<Value>>> done) mutable {
          stream->get(std::move(key), [done](const Result<std::optional<StreamMessage>>& found) {
            done(value_of(found));
          });
        });
  }
  // -> Result<std::optional<StreamMessage>>: the key's message with its number, time and headers;
  // also the one that says that it was deleted (is_deleted()).
  template <class Token = DefaultToken>
  auto message(std::string key, Token&& token = {}) {
    return stream_->get(std::move(key), std::forward<Token>(token));
  }
  static bool is_deleted(const StreamMessage& message);
  // -> Result<SetResult>. `settings.key` is not looked at. Errors: also `wrong-last-sequence`,
  // `reject`.
  template <class Token = DefaultToken>
  auto set(std::string key, const Value& value, StreamPublishSettings settings = {},
           Token&& token = {}) {
    settings.key = std::move(key);
    return stream_->publish(value, std::move(settings), std::forward<Token>(token));
  }
  // -> Result<SetResult>: what is stored instead says that it is deleted, and stays.
  template <class Token = DefaultToken>
  auto erase(std::string key, StreamPublishSettings settings = {}, Token&& token = {}) {
    settings.key = std::move(key);
    settings.headers = deletion();
    return stream_->publish(Value(), std::move(settings), std::forward<Token>(token));
  }
  // -> Result<Value>: an array of texts, deleted ones included.
  template <class Token = DefaultToken>
  auto keys(Token&& token = {}) {
    return stream_->keys(std::forward<Token>(token));
  }
  // -> Result<Value>, see Stream.
  template <class Token = DefaultToken>
  auto config(Value changes = {}, Token&& token = {}) {
    return stream_->config(std::move(changes), std::forward<Token>(token));
  }
  template <class Token = DefaultToken>
  auto inventory(Token&& token = {}) {
    return stream_->inventory(std::forward<Token>(token));
  }

  void close() { stream_->close(); }

 private:
  friend class Client;
  explicit Akv(Stream stream) : stream_(std::make_shared<Stream>(std::move(stream))) {}
  static Result<std::optional<Value>> value_of(const Result<std::optional<StreamMessage>>& found);
  static Value deletion();

  std::shared_ptr<Stream> stream_;
};

}  // namespace conat::native
