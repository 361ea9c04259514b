// Records about streams that are held whole.
#include <utility>

#include "outbox.hpp"

namespace conat {

void Outbox::change(Record kind, std::uint32_t stream, StreamLogChange change) {
  writer_.begin(kind);
  writer_.u32(stream);
  writer_.flag(change.is_delete);
  writer_.f64(static_cast<double>(change.seq));
  writer_.f64(static_cast<double>(change.time));
  writer_.flag(change.key.has_value());
  if (change.key) writer_.text(*change.key);
  writer_.flag(change.tombstone);
  writer_.data(
      MessageData{change.value.encoding, std::move(change.value.raw), std::move(change.headers)});
  value(std::move(change.previous));
  writer_.text(change.message_id);
  writer_.end();
}

void Outbox::write(core_stream_effect::Opened effect) {
  opened(Record::core_stream_opened, effect.stream, effect.error);
}

void Outbox::write(core_stream_effect::Change effect) {
  change(Record::core_stream_change, effect.stream, std::move(effect.change));
}

void Outbox::write(core_stream_effect::ConnectionChanged effect) {
  connection(Record::core_stream_connection, effect.stream, effect.connected);
}

void Outbox::write(core_stream_effect::Loaded effect) {
  outcome(Record::core_stream_loaded, effect.stream, effect.call, effect.error);
}

void Outbox::write(dstream_effect::Opened effect) {
  opened(Record::dstream_opened, effect.stream, effect.error);
}

void Outbox::write(dstream_effect::Change effect) {
  change(Record::dstream_change, effect.stream, std::move(effect.change));
}

void Outbox::write(dstream_effect::Rejected effect) {
  writer_.begin(Record::dstream_rejected);
  writer_.u32(effect.stream);
  value(std::move(effect.value));
  writer_.error(effect.error);
  writer_.end();
}

void Outbox::write(dstream_effect::Stable effect) { stable(Record::dstream_stable, effect.stream); }

void Outbox::write(dstream_effect::ConnectionChanged effect) {
  connection(Record::dstream_connection, effect.stream, effect.connected);
}

void Outbox::write(dstream_effect::Saved effect) {
  outcome(Record::dstream_saved, effect.stream, effect.call, effect.error);
}

void Outbox::write(dstream_effect::Loaded effect) {
  outcome(Record::dstream_loaded, effect.stream, effect.call, effect.error);
}

}  // namespace conat
