#include "conat/stream/stream_config.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "conat/wire/codec.hpp"

namespace conat {
namespace {

struct NumberField {
  std::string_view name;
  std::int64_t StreamConfig::*member;
  std::int64_t off;
};

// In the order of the specification; the other fields follow them.
constexpr NumberField kNumbers[] = {
    {"max_msgs", &StreamConfig::max_msgs, -1},
    {"max_age", &StreamConfig::max_age_ms, 0},
    {"max_bytes", &StreamConfig::max_bytes, -1},
    {"max_msg_size", &StreamConfig::max_msg_size, -1},
    {"max_bytes_per_second", &StreamConfig::max_bytes_per_second, -1},
    {"max_msgs_per_second", &StreamConfig::max_msgs_per_second, -1},
};
constexpr std::string_view kDiscardPolicy = "discard_policy";
constexpr std::string_view kAllowTtl = "allow_msg_ttl";
constexpr std::string_view kDesc = "desc";

// The largest whole number that JavaScript counts to.
constexpr double kLargest = 9007199254740991.0;

std::int64_t in_range(double number, std::int64_t off) {
  if (number < 0) return off;
  return static_cast<std::int64_t>(std::min(std::trunc(number), kLargest));
}

Error wrong_type(std::string_view field) {
  return {ErrorKind::bad_request, "Error: invalid value of " + std::string(field)};
}

std::string_view policy_name(const StreamConfig& config) {
  return config.discard_new ? "new" : "old";
}

Value desc_value(const StreamConfig& config) {
  Result<Value> desc = decode_json(config.desc_json);
  return desc.ok() ? std::move(*desc) : Value();
}

}  // namespace

Status apply_partial(const Value& partial, StreamConfig& config) {
  StreamConfig changed = config;
  const auto given = [&](std::string_view name) -> const Value* {
    const Value* value = partial.find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  };
  for (const NumberField& field : kNumbers) {
    const Value* value = given(field.name);
    if (value == nullptr) continue;
    if (!value->is_number() || std::isnan(value->number_or(0))) return wrong_type(field.name);
    changed.*field.member = in_range(value->number_or(0), field.off);
  }
  if (const Value* value = given(kDiscardPolicy)) {
    const std::string* name = value->if_text();
    if (name == nullptr || (*name != "old" && *name != "new")) return wrong_type(kDiscardPolicy);
    changed.discard_new = *name == "new";
  }
  if (const Value* value = given(kAllowTtl)) {
    if (value->if_bool() == nullptr) return wrong_type(kAllowTtl);
    changed.allow_msg_ttl = *value->if_bool();
  }
  if (const Value* value = given(kDesc)) changed.desc_json = encode_json(*value);
  config = std::move(changed);
  return Nothing{};
}

Value config_to_value(const StreamConfig& config) {
  Value::Map fields;
  for (const NumberField& field : kNumbers) {
    fields.emplace_back(std::string(field.name), Value(config.*field.member));
  }
  fields.emplace_back(std::string(kDiscardPolicy), Value(policy_name(config)));
  fields.emplace_back(std::string(kAllowTtl), Value(config.allow_msg_ttl));
  fields.emplace_back(std::string(kDesc), desc_value(config));
  return Value(std::move(fields));
}

Value config_differences(const StreamConfig& config) {
  const StreamConfig defaults;
  Value::Map fields;
  for (const NumberField& field : kNumbers) {
    if (config.*field.member == defaults.*field.member) continue;
    fields.emplace_back(std::string(field.name), Value(config.*field.member));
  }
  if (config.discard_new) fields.emplace_back(std::string(kDiscardPolicy), Value("new"));
  if (config.allow_msg_ttl) fields.emplace_back(std::string(kAllowTtl), Value(true));
  if (config.desc_json != defaults.desc_json) {
    fields.emplace_back(std::string(kDesc), desc_value(config));
  }
  return Value(std::move(fields));
}

StreamConfig parse_config(const StoredConfig& stored) {
  StreamConfig config;
  for (const auto& [name, text] : stored) {
    for (const NumberField& field : kNumbers) {
      if (name != field.name) continue;
      char* end = nullptr;
      const double number = std::strtod(text.c_str(), &end);
      if (end == text.c_str() || std::isnan(number)) continue;
      config.*field.member = in_range(number, field.off);
    }
    if (name == kDiscardPolicy) config.discard_new = text == "new";
    if (name == kAllowTtl) config.allow_msg_ttl = text == "true" || text == "1";
    if (name == kDesc && decode_json(text).ok()) config.desc_json = text;
  }
  return config;
}

StoredConfig changed_fields(const StreamConfig& old, const StreamConfig& config) {
  StoredConfig changed;
  for (const NumberField& field : kNumbers) {
    if (old.*field.member == config.*field.member) continue;
    changed.emplace_back(std::string(field.name), std::to_string(config.*field.member));
  }
  if (old.discard_new != config.discard_new) {
    changed.emplace_back(std::string(kDiscardPolicy), std::string(policy_name(config)));
  }
  if (old.allow_msg_ttl != config.allow_msg_ttl) {
    changed.emplace_back(std::string(kAllowTtl), config.allow_msg_ttl ? "true" : "false");
  }
  if (old.desc_json != config.desc_json) {
    changed.emplace_back(std::string(kDesc), config.desc_json);
  }
  return changed;
}

}  // namespace conat
