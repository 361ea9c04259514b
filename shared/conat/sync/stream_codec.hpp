// The persistence protocol as its client speaks it: requests to bytes, answers and changes back.
//
// Parsers check everything; what a server sends malformed is an error, never a crash.
// Thread safety: pure functions.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "conat/base/result.hpp"
#include "conat/sync/stream_message.hpp"
#include "conat/wire/message.hpp"

namespace conat {

// `null` with the command and its arguments (a map, or null for none) as headers.
MessageData encode_command(std::string_view name, const Value& arguments);
MessageData encode_set_many(const std::vector<StreamSet>& items);

// The error of an answer, when it is one: `null` with the headers `error` and maybe `code`.
std::optional<Error> answer_error(const MessageData& answer);
// `null`: the end of many answers.
bool is_null_payload(const MessageData& data);

// A batch of getAll.
Result<std::vector<StreamMessage>> parse_messages(const MessageData& data);
// A message of the changefeed.
Result<std::vector<StreamUpdate>> parse_updates(const MessageData& data);
// The answer to setMany: one result for each item.
Result<std::vector<Result<SetResult>>> parse_set_many_answer(const MessageData& data);

}  // namespace conat
