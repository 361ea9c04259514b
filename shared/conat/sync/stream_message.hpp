// What a client of a persistent stream reads and writes, with headers in the form in which they
// travel. (The server's own types, in stream/, keep headers as the JSON of the file.)
//
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conat/base/bytes.hpp"
#include "conat/base/time.hpp"
#include "conat/stream/stream.hpp"
#include "conat/wire/codec.hpp"
#include "conat/wire/headers.hpp"

namespace conat {

// A stored message as the server tells it.
struct StreamMessage {
  StreamSequence seq = 0;
  UnixMs time = 0;
  std::optional<std::string> key;
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  Bytes raw;
  Headers headers;
  std::string message_id;  // in changefeeds only, when the writer gave one
};

// One change of a stream: a message that was set, or sequence numbers that are gone.
struct StreamUpdate {
  bool is_delete = false;
  StreamMessage message;
  std::vector<StreamSequence> deleted;
};

// One message to store. Views: they must live until the call that takes it returns.
struct StreamSet {
  std::optional<std::string_view> key;
  PayloadEncoding encoding = PayloadEncoding::msgpack;
  ByteView raw;
  Headers headers;
  std::int64_t ttl_ms = 0;  // 0: none
  // The key's current message must have this seq; must_not_exist: there must be none. A server that
  // does not know the latter answers with an error and writes nothing.
  std::optional<StreamSequence> previous_seq;
  std::string message_id;
};

}  // namespace conat
