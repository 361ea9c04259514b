// What is kept of a stream for the next run of the program, and how it goes on from there.
#include <unordered_set>
#include <utility>

#include "conat/sync/dstream_store.hpp"
#include "conat/sync/kept.hpp"

namespace conat {
namespace {

constexpr std::string_view kDStreamState = "conat-dstream-state";
constexpr std::string_view kDStreamChanges = "conat-dstream-changes";

}  // namespace

Bytes DStreamStore::kept_state() const {
  Value::Array items;
  for (std::size_t i = 0; i < core_.log().size(); ++i) {
    const MessageLog::Entry entry = core_.log().at(i);
    items.push_back(
        kept_message(entry.key, entry.seq, entry.time, entry.encoding, entry.raw, entry.headers));
  }
  return kept_bytes(kDStreamState, std::move(items));
}

// An item: msgID, value, headers, ttl in ms, whether it may have been sent.
Bytes DStreamStore::kept_changes() const {
  Value::Array items;
  for (const Local& local : local_) {
    Value::Array item;
    item.emplace_back(local.message_id);
    item.push_back(kept_value(
        SharedValue{local.value.encoding, SharedBytes::copy_of(ByteView(local.value.raw))}));
    item.emplace_back(local.headers.encoded());
    item.emplace_back(local.ttl_ms);
    item.emplace_back(local.unknown || local.sent_at != 0);
    items.emplace_back(std::move(item));
  }
  return kept_bytes(kDStreamChanges, std::move(items));
}

bool DStreamStore::read_local(const Value& item, Local& local) {
  const Value::Array* parts = item.if_array();
  if (parts == nullptr || parts->size() != 5) return false;
  const std::string* id = (*parts)[0].if_text();
  if (id == nullptr || id->empty() || id->size() > 100) return false;
  local.message_id = *id;
  OptionalValue value;
  if (!read_kept_value((*parts)[1], value) || !value) return false;
  local.value = *encoded_value(value);
  if (!read_kept_headers((*parts)[2], local.headers)) return false;
  local.ttl_ms = (*parts)[3].integer_or(-1);
  if (local.ttl_ms < 0) return false;
  local.unknown = (*parts)[4].bool_or(true);
  return true;
}

Status DStreamStore::restore(TimeMs now, ByteView state, ByteView changes, bool open_now) {
  kept_ = true;
  std::vector<StreamMessage> messages;
  std::vector<Local> locals;
  if (!state.empty()) {
    auto items = read_kept(kDStreamState, state);
    if (!items.ok()) return items.error();
    for (const Value& item : *items) {
      auto message = read_kept_message(item);
      const bool ascending = messages.empty() || !message || messages.back().seq < message->seq;
      if (!message || !ascending) return Error(ErrorKind::malformed, "a kept message is damaged");
      if (message->seq >= core_.start_seq()) messages.push_back(std::move(*message));
    }
  }
  if (!changes.empty()) {
    auto items = read_kept(kDStreamChanges, changes);
    if (!items.ok()) return items.error();
    for (const Value& item : *items) {
      Local local;
      if (!read_local(item, local)) {
        return Error(ErrorKind::malformed, "a kept message is damaged");
      }
      locals.push_back(std::move(local));
    }
  }
  // Once the server has told its state, what was kept of it is outdated.
  if (session_ == 0 && core_.log().size() == 0 && !messages.empty()) {
    core_.on_snapshot(true, messages, nullptr);
  }
  adopt(now, std::move(locals));
  if (open_now && !opened_) {
    opened_ = true;
    emit(dstream_effect::Opened{owner_, id_, std::nullopt});
  }
  after_change();
  return Nothing{};
}

// Messages of an earlier run, or of another one that has ended, become unsaved ones of this store,
// but for those that have arrived.
void DStreamStore::adopt(TimeMs now, std::vector<Local> locals) {
  if (locals.empty()) return;
  std::unordered_set<std::string> stored;
  for (std::size_t i = 0; i < core_.log().size(); ++i) {
    const ByteView headers = core_.log().at(i).headers;
    if (headers.empty()) continue;
    std::string id = change_id_of(Headers(to_bytes(headers)));
    if (!id.empty()) stored.insert(std::move(id));
  }
  for (Local& local : locals) {
    if (sent_.count(local.message_id) > 0 || stored.count(local.message_id) > 0) continue;
    local.number = ++last_number_;
    if (local.unknown) {
      ++unknown_;
      local.sent_at = now;
    }
    waiting_.insert(local.number);
    sent_.emplace(local.message_id, local.number);
    local_.push_back(std::move(local));
    stable_ = false;
  }
}

// A snapshot tells no msgIDs, but the messages themselves tell their change.
void DStreamStore::note_stored(const std::vector<StreamMessage>& messages) {
  for (const StreamMessage& message : messages) {
    if (sent_.empty()) return;
    const auto sent = sent_.find(change_id_of(message));
    if (sent != sent_.end()) take_local(find(sent->second));
  }
}

}  // namespace conat
