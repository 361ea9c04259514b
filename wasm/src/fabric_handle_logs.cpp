// The part of FabricHandle that reaches streams which are held whole.
#include <algorithm>
#include <cstring>
#include <utility>

#include "conat/sync/dstream_store.hpp"
#include "fabric_handle.hpp"

namespace conat {
namespace {

double number_of(std::int64_t number) { return static_cast<double>(number); }

std::uint32_t count_of(std::size_t count) { return static_cast<std::uint32_t>(count); }

}  // namespace

struct FabricHandle::ResultEntry {
  std::int64_t id;
  std::optional<StreamSequence> seq;
  std::optional<UnixMs> time;
  std::optional<std::string_view> key;
  PayloadEncoding encoding;
  ByteView raw;
  ByteView headers;
};

void FabricHandle::add_entry(const ResultEntry& entry) {
  result_.f64(number_of(entry.id));
  result_.f64(entry.seq ? number_of(*entry.seq) : -1);
  result_.f64(entry.time ? number_of(*entry.time) : -1);
  result_.flag(entry.key.has_value());
  if (entry.key) result_.text(*entry.key);
  result_.u8(static_cast<std::uint8_t>(entry.encoding));
  result_.near_blob(entry.headers);
  result_.near_blob(entry.raw);
}

std::vector<StreamSequence> FabricHandle::take_seqs(std::uint32_t count) {
  window_used_ = 0;
  const ByteView bytes = take(count * static_cast<std::uint32_t>(sizeof(double)));
  std::vector<StreamSequence> seqs;
  seqs.reserve(bytes.size() / sizeof(double));
  for (std::size_t at = 0; at + sizeof(double) <= bytes.size(); at += sizeof(double)) {
    double seq = 0;
    std::memcpy(&seq, bytes.data() + at, sizeof seq);
    seqs.push_back(static_cast<StreamSequence>(seq));
  }
  return seqs;
}

// ---- core streams ----

Answer FabricHandle::core_stream_open(double now, const std::string& scope, const std::string& path,
                                      const std::string& service, std::uint32_t options_length) {
  StreamOpenOptions options = take_stream_options(scope, path, service, options_length);
  return answer(fabric_.core_streams().open(milliseconds(now), owner, std::move(options)));
}

void FabricHandle::core_stream_close(double now, std::uint32_t stream) {
  fabric_.core_streams().close(milliseconds(now), stream);
}

std::uint32_t FabricHandle::core_stream_below(std::uint32_t stream) const {
  return fabric_.core_streams().stream(stream);
}

std::uint32_t FabricHandle::core_stream_length(std::uint32_t stream) const {
  const CoreStreamStore* store = fabric_.core_streams().store(stream);
  return store == nullptr ? 0 : count_of(store->log().size());
}

Answer FabricHandle::core_stream_seqs(std::uint32_t stream, std::uint32_t first) {
  result_.clear();
  if (const CoreStreamStore* store = fabric_.core_streams().store(stream)) {
    for (std::size_t i = first; i < store->log().size(); ++i) {
      result_.f64(number_of(store->log().at(i).seq));
    }
  }
  return answer_with_result();
}

Answer FabricHandle::core_stream_entries(std::uint32_t stream, std::uint32_t first,
                                         std::uint32_t count) {
  result_.clear();
  const CoreStreamStore* store = fabric_.core_streams().store(stream);
  const std::size_t end =
      store == nullptr ? 0 : std::min<std::size_t>(store->log().size(), std::size_t{first} + count);
  for (std::size_t i = first; i < end; ++i) {
    const MessageLog::Entry entry = store->log().at(i);
    add_entry(
        {entry.seq, entry.seq, entry.time, entry.key, entry.encoding, entry.raw, entry.headers});
  }
  return answer_with_result();
}

std::uint32_t FabricHandle::core_stream_index(std::uint32_t stream, double seq) const {
  const CoreStreamStore* store = fabric_.core_streams().store(stream);
  return store == nullptr ? 0
                          : count_of(store->log().lower_bound(static_cast<StreamSequence>(seq)));
}

double FabricHandle::core_stream_key_seq(std::uint32_t stream, const std::string& key) const {
  const CoreStreamStore* store = fabric_.core_streams().store(stream);
  const auto seq = store == nullptr ? std::nullopt : store->key_seq(key);
  return seq ? number_of(*seq) : -1;
}

Answer FabricHandle::core_stream_keys(std::uint32_t stream) {
  result_.clear();
  if (const CoreStreamStore* store = fabric_.core_streams().store(stream)) {
    store->for_each_key([&](std::string_view key, StreamSequence seq) {
      result_.text(key);
      result_.f64(number_of(seq));
    });
  }
  return answer_with_result();
}

double FabricHandle::core_stream_bytes(std::uint32_t stream) const {
  const CoreStreamStore* store = fabric_.core_streams().store(stream);
  return store == nullptr ? 0 : static_cast<double>(store->log().bytes());
}

double FabricHandle::core_stream_seen(std::uint32_t stream) const {
  const CoreStreamStore* store = fabric_.core_streams().store(stream);
  return store == nullptr ? 0 : number_of(store->seen_seq());
}

double FabricHandle::core_stream_start(std::uint32_t stream) const {
  const CoreStreamStore* store = fabric_.core_streams().store(stream);
  return store == nullptr ? 0 : number_of(store->start_seq());
}

Answer FabricHandle::core_stream_load(double now, std::uint32_t stream, double start_seq) {
  return answer(fabric_.core_streams().load(milliseconds(now), stream,
                                            static_cast<StreamSequence>(start_seq)));
}

void FabricHandle::core_stream_forget(double now, std::uint32_t stream, std::uint32_t count) {
  fabric_.core_streams().forget(milliseconds(now), stream, take_seqs(count));
}

// ---- append-only streams ----

Answer FabricHandle::dstream_open(double now, const std::string& scope, const std::string& path,
                                  const std::string& service, std::uint32_t options_length,
                                  bool autosave) {
  DStreamOptions options;
  options.stream = take_stream_options(scope, path, service, options_length);
  options.autosave = autosave;
  return answer(fabric_.dstreams().open(milliseconds(now), owner, std::move(options)));
}

void FabricHandle::dstream_close(double now, std::uint32_t stream) {
  fabric_.dstreams().close(milliseconds(now), stream);
}

std::uint32_t FabricHandle::dstream_below(std::uint32_t stream) const {
  return fabric_.dstreams().stream(stream);
}

std::uint32_t FabricHandle::dstream_length(std::uint32_t stream) const {
  const DStreamStore* store = fabric_.dstreams().store(stream);
  return store == nullptr ? 0 : count_of(store->size());
}

Answer FabricHandle::dstream_ids(std::uint32_t stream, std::uint32_t first) {
  result_.clear();
  if (const DStreamStore* store = fabric_.dstreams().store(stream)) {
    const std::size_t length = store->size();
    for (std::size_t i = first; i < length; ++i) result_.f64(number_of(store->entry(i).id));
  }
  return answer_with_result();
}

Answer FabricHandle::dstream_entries(std::uint32_t stream, std::uint32_t first,
                                     std::uint32_t count) {
  result_.clear();
  const DStreamStore* store = fabric_.dstreams().store(stream);
  const std::size_t end =
      store == nullptr ? 0 : std::min<std::size_t>(store->size(), std::size_t{first} + count);
  for (std::size_t i = first; i < end; ++i) {
    const DStreamStore::Entry entry = store->entry(i);
    add_entry(
        {entry.id, entry.seq, entry.time, entry.key, entry.encoding, entry.raw, entry.headers});
  }
  return answer_with_result();
}

double FabricHandle::dstream_start(std::uint32_t stream) const {
  const DStreamStore* store = fabric_.dstreams().store(stream);
  return store == nullptr ? 0 : number_of(store->start_seq());
}

Answer FabricHandle::dstream_publish(double now, std::uint32_t stream, std::uint32_t headers_length,
                                     std::uint32_t raw_length, std::uint32_t encoding,
                                     double ttl_ms) {
  window_used_ = 0;
  MessageData data = take_data(headers_length, raw_length, encoding);
  return answer(fabric_.dstreams().publish(milliseconds(now), stream,
                                           EncodedValue{data.encoding, std::move(data.raw)},
                                           std::move(data.headers), milliseconds(ttl_ms)));
}

Answer FabricHandle::dstream_save(double now, std::uint32_t stream) {
  return answer(fabric_.dstreams().save(milliseconds(now), stream));
}

Answer FabricHandle::dstream_load(double now, std::uint32_t stream, double start_seq) {
  return answer(
      fabric_.dstreams().load(milliseconds(now), stream, static_cast<StreamSequence>(start_seq)));
}

void FabricHandle::dstream_forget(double now, std::uint32_t stream, std::uint32_t count) {
  fabric_.dstreams().forget(milliseconds(now), stream, take_seqs(count));
}

std::uint32_t FabricHandle::dstream_unsaved(std::uint32_t stream) const {
  const DStreamStore* store = fabric_.dstreams().store(stream);
  return store == nullptr ? 0 : count_of(store->unsaved_count());
}

bool FabricHandle::dstream_is_stable(std::uint32_t stream) const {
  const DStreamStore* store = fabric_.dstreams().store(stream);
  return store == nullptr || store->is_stable();
}

Answer FabricHandle::dstream_kept(std::uint32_t stream, bool changes) {
  result_.clear();
  result_.raw(changes ? fabric_.dstreams().kept_changes(stream)
                      : fabric_.dstreams().kept_state(stream));
  return answer_with_result();
}

Answer FabricHandle::dstream_restore(double now, std::uint32_t stream, std::uint32_t state_length,
                                     std::uint32_t changes_length, bool open_now) {
  window_used_ = 0;
  const ByteView state = take(state_length);
  const ByteView changes = take(changes_length);
  return answer(fabric_.dstreams().restore(milliseconds(now), stream, state, changes, open_now));
}

}  // namespace conat
