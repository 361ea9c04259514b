// The configuration of a stream: limits, policies, a description; as clients send and see it (a map
// of named fields) and as the file keeps it (text by field name).
//
// Thread safety: plain values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conat/base/result.hpp"
#include "conat/base/value.hpp"

namespace conat {

struct StreamConfig {
  std::int64_t max_msgs = -1;
  std::int64_t max_age_ms = 0;
  std::int64_t max_bytes = -1;
  std::int64_t max_msg_size = -1;
  std::int64_t max_bytes_per_second = -1;
  std::int64_t max_msgs_per_second = -1;
  bool discard_new = false;  // discard_policy "new"
  bool allow_msg_ttl = false;
  std::string desc_json = "null";
};

using StoredConfig = std::vector<std::pair<std::string, std::string>>;  // field, text

// Applies a partial configuration: null and unknown fields change nothing, values are brought into
// their range (below zero: -1, off). Errors: bad_request for a value of the wrong type; then
// `config` is unchanged.
Status apply_partial(const Value& partial, StreamConfig& config);
// The whole configuration as a map, in the order of the specification.
Value config_to_value(const StreamConfig& config);
// Only the fields that differ from the defaults.
Value config_differences(const StreamConfig& config);

// What the file holds; text that makes no sense keeps the default.
StreamConfig parse_config(const StoredConfig& stored);
// Only the fields in which `config` differs from `old`.
StoredConfig changed_fields(const StreamConfig& old, const StreamConfig& config);

}  // namespace conat
