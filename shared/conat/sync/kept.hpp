// The form in which a store's state and unsaved changes are kept outside of the core (by a browser,
// in IndexedDB), to be restored by another run of the program: MessagePack, an array of kind,
// version and items. What is read is checked: it may be damaged, foreign, or of another version.
//
// Thread safety: pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "conat/sync/dkv_value.hpp"
#include "conat/sync/stream_message.hpp"

namespace conat {

// The header in which a message of a store that is kept names its change, so that it is recognized
// in the stream itself, for as long as it is there.
inline constexpr std::string_view change_id_header = "CN-ChangeId";

// The change that a message carries out; empty when it names none.
std::string change_id_of(const StreamMessage& message);
std::string change_id_of(const Headers& headers);
// The headers as the writer gave them.
Headers without_change_id(Headers headers);

Bytes kept_bytes(std::string_view kind, Value::Array items);
// The items. Errors: malformed.
Result<Value::Array> read_kept(std::string_view kind, ByteView bytes);

Value kept_message(std::optional<std::string_view> key, StreamSequence seq, UnixMs time,
                   PayloadEncoding encoding, ByteView raw, ByteView headers);
std::optional<StreamMessage> read_kept_message(const Value& item);
Value kept_value(const OptionalValue& value);
// False when it is malformed.
bool read_kept_value(const Value& item, OptionalValue& value);
bool read_kept_headers(const Value& item, Headers& headers);

}  // namespace conat
