// The persistence protocol's requests and answers as bytes: docs/persistence.md has the tables.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conat/base/result.hpp"
#include "conat/base/value.hpp"
#include "conat/stream/persist_server.hpp"
#include "conat/wire/message.hpp"

namespace conat::persist_parts {

// ---- what comes in ----

// A client's first message.
struct Opening {
  std::string path;
  bool ephemeral = false;
  bool sync = false;
  bool compression = true;
  bool changefeed = false;
};
Result<Opening> parse_opening(const MessageData& data);

// `set`: arguments from the decoded headers; takes the payload.
Result<SetRequest> parse_set(const Value& headers, MessageData data);
// `setMany`: one entry for each item, malformed ones as errors. The error is for the whole request.
Result<std::vector<Result<SetRequest>>> parse_set_many(const MessageData& data);
StorageGet parse_get(const Value& headers);
StorageGetAll parse_get_all(const Value& headers);
DeleteRequest parse_delete(const Value& headers);

// ---- what goes out ----

// `null` with {error, code}. Texts get the prefix "Error: ", as thrown errors have it.
MessageData error_message(const Error& error);
// {error, code}.
Value::Map error_fields(const Error& error);

MessageData set_answer(const SetResult& result);
// `refused` has an entry for each item: why it never reached the storage, or nothing; `results` are
// those of the others, in order.
MessageData set_many_answer(const std::vector<std::optional<Error>>& refused,
                            const std::vector<Result<SetResult>>& results);
// A message as its own raw bytes and headers with seq, time and key; null when there is none.
MessageData get_answer(std::optional<StoredMessage> message);
MessageData delete_answer(const std::vector<StreamSequence>& seqs);
MessageData inventory_answer(const StorageInventoryResult& result);
MessageData keys_answer(const std::vector<std::string>& keys);

// An array of messages, with the header `seq` = `number`.
MessageData range_message(const std::vector<StoredMessage>& messages, std::uint64_t number);
// `null` with the header `seq`: the end of a getAll.
MessageData end_of_range(std::uint64_t number);

// One change as it stands in the array of a changefeed.
Bytes encode_change(const StreamChange& change);
// `value` with the header `seq`.
MessageData numbered(Bytes raw, std::uint64_t number);

}  // namespace conat::persist_parts
