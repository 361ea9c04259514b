// A stream over a store in memory, one group for each call.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "conat/stream/memory_store.hpp"
#include "conat/stream/stream.hpp"
#include "property/stream/faulty_store.hpp"
#include "property/stream/stream_model.hpp"

namespace conat::test {

struct StreamFixture {
  explicit StreamFixture(bool ephemeral = false) { open(ephemeral); }

  void open(bool ephemeral = false) {
    stream.reset();
    auto opened = Stream::open(store, now, ephemeral);
    REQUIRE(opened.ok());
    stream = std::make_unique<Stream>(std::move(*opened));
  }

  static SetRequest request(std::string_view raw, std::optional<std::string> key = {}) {
    SetRequest request;
    request.raw = to_bytes(raw);
    request.key = std::move(key);
    return request;
  }

  template <class Call>
  auto in_group(Call&& call) {
    REQUIRE(stream->begin_group().ok());
    auto result = call();
    REQUIRE(stream->commit_group().ok());
    for (const StreamChange& change : stream->take_changes())
      changes.push_back(change_text(change));
    return result;
  }

  Result<SetResult> set(SetRequest what) {
    return in_group([&] { return stream->set(now, std::move(what)); });
  }
  Result<SetResult> set(std::string_view raw, std::optional<std::string> key = {}) {
    return set(request(raw, std::move(key)));
  }
  // A set that succeeds.
  template <class... What>
  SetResult put(What&&... what) {
    const auto result = set(std::forward<What>(what)...);
    REQUIRE(result.ok());
    return *result;
  }
  Result<std::vector<StreamSequence>> erase(DeleteRequest what) {
    return in_group([&] { return stream->erase(what); });
  }
  Result<Value> configure(Value partial) {
    return in_group([&] { return stream->configure(now, partial); });
  }
  void configure(std::string_view field, Value value) {
    REQUIRE(configure(Value(Value::Map{{std::string(field), std::move(value)}})).ok());
  }
  void enforce() {
    REQUIRE(in_group([&] { return stream->enforce(now); }).ok());
  }

  std::vector<StreamSequence> present() {
    std::vector<StoredMessage> messages;
    REQUIRE(stream->get_range(0, 0, 1u << 30, messages).ok());
    std::vector<StreamSequence> seqs;
    for (const StoredMessage& message : messages) seqs.push_back(message.seq);
    return seqs;
  }
  std::vector<std::string> take_changes() { return std::exchange(changes, {}); }

  UnixMs now = 1'795'445'889'622;
  MemoryStore memory;
  FaultyStore store{memory};
  std::unique_ptr<Stream> stream;
  std::vector<std::string> changes;
};

using Seqs = std::vector<StreamSequence>;
using Texts = std::vector<std::string>;

}  // namespace conat::test
