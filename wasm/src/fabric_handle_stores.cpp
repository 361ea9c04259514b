// The part of FabricHandle that reaches key-value stores.
#include <utility>

#include "fabric_handle.hpp"

namespace conat {
// ---- key-value stores ----

Answer FabricHandle::dkv_open(double now, const std::string& scope, const std::string& path,
                              const std::string& service, bool ephemeral, bool sync,
                              std::uint32_t config_length, std::uint32_t merge, bool autosave) {
  window_used_ = 0;
  DkvOptions options;
  options.stream.scope = scope;
  options.stream.path = path;
  options.stream.service = service;
  options.stream.ephemeral = ephemeral;
  options.stream.sync = sync;
  options.stream.config = take_value(config_length);
  options.merge = static_cast<MergeKind>(merge);
  options.autosave = autosave;
  return answer(fabric_.dkvs().open(milliseconds(now), owner, std::move(options)));
}

void FabricHandle::dkv_close(double now, std::uint32_t dkv) {
  fabric_.dkvs().close(milliseconds(now), dkv);
}

std::uint32_t FabricHandle::dkv_below(std::uint32_t dkv) const {
  return fabric_.dkvs().stream(dkv);
}

Answer FabricHandle::dkv_get(std::uint32_t dkv, const std::string& key) {
  const std::optional<EncodedValue> value = fabric_.dkvs().get(dkv, key);
  if (!value) return failed;
  result_.clear();
  result_.u8(static_cast<std::uint8_t>(value->encoding));
  result_.raw(value->raw);
  return answer_with_result();
}

bool FabricHandle::dkv_has(std::uint32_t dkv, const std::string& key) const {
  return fabric_.dkvs().has(dkv, key);
}

std::uint32_t FabricHandle::dkv_size(std::uint32_t dkv) const {
  return static_cast<std::uint32_t>(fabric_.dkvs().size(dkv));
}

Answer FabricHandle::dkv_entries(std::uint32_t dkv, bool keys_only) {
  result_.clear();
  fabric_.dkvs().for_each(dkv, [&](std::string_view key, PayloadEncoding encoding, ByteView raw) {
    result_.text(key);
    if (!keys_only) {
      result_.u8(static_cast<std::uint8_t>(encoding));
      result_.near_blob(raw);
    }
    return true;
  });
  return answer_with_result();
}

double FabricHandle::dkv_seq(std::uint32_t dkv, const std::string& key) const {
  const std::optional<StreamSequence> seq = fabric_.dkvs().seq(dkv, key);
  return seq ? static_cast<double>(*seq) : -1;
}

double FabricHandle::dkv_time(std::uint32_t dkv, const std::string& key) const {
  const std::optional<UnixMs> time = fabric_.dkvs().time(dkv, key);
  return time ? static_cast<double>(*time) : -1;
}

Answer FabricHandle::dkv_headers(std::uint32_t dkv, const std::string& key) {
  result_.clear();
  result_.raw(fabric_.dkvs().headers(dkv, key).encoded());
  return answer_with_result();
}

Answer FabricHandle::dkv_set(double now, std::uint32_t dkv, const std::string& key,
                             std::uint32_t headers_length, std::uint32_t raw_length,
                             std::uint32_t encoding) {
  window_used_ = 0;
  MessageData data = take_data(headers_length, raw_length, encoding);
  return answer(fabric_.dkvs().set(milliseconds(now), dkv, key,
                                   EncodedValue{data.encoding, std::move(data.raw)},
                                   std::move(data.headers)));
}

Answer FabricHandle::dkv_erase(double now, std::uint32_t dkv, const std::string& key) {
  return answer(fabric_.dkvs().erase(milliseconds(now), dkv, key));
}

Answer FabricHandle::dkv_clear(double now, std::uint32_t dkv) {
  return answer(fabric_.dkvs().clear(milliseconds(now), dkv));
}

Answer FabricHandle::dkv_save(double now, std::uint32_t dkv) {
  return answer(fabric_.dkvs().save(milliseconds(now), dkv));
}

void FabricHandle::dkv_resolve(double now, std::uint32_t dkv, std::uint32_t merge,
                               std::uint32_t outcome, std::uint32_t raw_length,
                               std::uint32_t encoding) {
  window_used_ = 0;
  std::optional<std::optional<EncodedValue>> merged;
  if (outcome == 1) {
    MessageData data = take_data(0, raw_length, encoding);
    merged.emplace(EncodedValue{data.encoding, std::move(data.raw)});
  } else if (outcome == 2) {
    merged.emplace(std::nullopt);
  }
  fabric_.dkvs().resolve_merge(milliseconds(now), dkv, merge, std::move(merged));
}

bool FabricHandle::dkv_has_unsaved_changes(std::uint32_t dkv) const {
  return fabric_.dkvs().has_unsaved_changes(dkv);
}

bool FabricHandle::dkv_is_stable(std::uint32_t dkv) const { return fabric_.dkvs().is_stable(dkv); }

Answer FabricHandle::dkv_unsaved_changes(std::uint32_t dkv) {
  result_.clear();
  for (const std::string& key : fabric_.dkvs().unsaved_changes(dkv)) result_.text(key);
  return answer_with_result();
}

Answer FabricHandle::dkv_kept(std::uint32_t dkv, bool changes) {
  result_.clear();
  result_.raw(changes ? fabric_.dkvs().kept_changes(dkv) : fabric_.dkvs().kept_state(dkv));
  return answer_with_result();
}

Answer FabricHandle::dkv_restore(double now, std::uint32_t dkv, std::uint32_t state_length,
                                 std::uint32_t changes_length, bool open_now) {
  window_used_ = 0;
  const ByteView state = take(state_length);
  const ByteView changes = take(changes_length);
  return answer(fabric_.dkvs().restore(milliseconds(now), dkv, state, changes, open_now));
}

}  // namespace conat
