#include "simulation/stream_play.hpp"

#include <algorithm>
#include <utility>

namespace conat::simulation {
namespace {

const char* const kPath = "hub/stream";

std::set<StreamSequence> seqs_of(const std::map<StreamSequence, std::string>& messages) {
  std::set<StreamSequence> seqs;
  for (const auto& message : messages) seqs.insert(message.first);
  return seqs;
}

std::string text_of(PayloadEncoding encoding, ByteView raw) {
  const auto value = decode_payload(encoding, raw);
  return value.ok() ? std::string(value->text_or("?")) : "malformed";
}

}  // namespace

void StreamPlay::add_client(std::size_t client) {
  auto copy = std::make_unique<Copy>();
  copy->client = client;
  const Owner owner{Layer::user, static_cast<std::uint32_t>(copies_.size())};
  DStreamOptions options;
  options.stream.path = kPath;
  const auto dstream =
      world_.fabric(client).dstreams().open(world_.clock(client), owner, std::move(options));
  StreamOpenOptions stream;
  stream.path = kPath;
  const auto core =
      world_.fabric(client).core_streams().open(world_.clock(client), owner, std::move(stream));
  if (!dstream.ok() || !core.ok()) return fail_("a stream could not be opened");
  copy->dstream = *dstream;
  copy->core = *core;
  copies_.push_back(std::move(copy));
}

bool StreamPlay::on_effect(std::size_t client, FabricEffect& effect) {
  auto* dstream = std::get_if<DStreamEffect>(&effect);
  auto* core = std::get_if<CoreStreamEffect>(&effect);
  if (dstream == nullptr && core == nullptr) return false;
  const auto copy = std::find_if(copies_.begin(), copies_.end(), [&](const auto& item) {
    return !item->dead && item->client == client;
  });
  if (copy == copies_.end()) return true;
  if (dstream != nullptr) on_dstream(**copy, *dstream);
  if (core != nullptr) on_core(**copy, *core);
  return true;
}

void StreamPlay::on_dstream(Copy& copy, DStreamEffect& effect) {
  if (const auto* opened = std::get_if<dstream_effect::Opened>(&effect)) {
    if (opened->error) fail_("opening a stream failed for good: " + opened->error->text);
    copy.opened = true;
    copy.told = shown(copy);
    copy.early = seqs_of(copy.told);
  } else if (const auto* connection = std::get_if<dstream_effect::ConnectionChanged>(&effect)) {
    copy.connected = connection->connected;
  } else if (const auto* change = std::get_if<dstream_effect::Change>(&effect)) {
    note(copy, copy.told, copy.early, change->change);
  } else if (const auto* rejected = std::get_if<dstream_effect::Rejected>(&effect)) {
    fail_("a message was rejected: " + rejected->error.text);
  }
}

void StreamPlay::on_core(Copy& copy, CoreStreamEffect& effect) {
  if (const auto* opened = std::get_if<core_stream_effect::Opened>(&effect)) {
    if (opened->error) fail_("opening a stream failed for good: " + opened->error->text);
    copy.core_opened = true;
    copy.core_told = held(copy);
    copy.core_early = seqs_of(copy.core_told);
  } else if (const auto* connection = std::get_if<core_stream_effect::ConnectionChanged>(&effect)) {
    copy.core_connected = connection->connected;
  } else if (const auto* change = std::get_if<core_stream_effect::Change>(&effect)) {
    note(copy, copy.core_told, copy.core_early, change->change);
  }
}

// An effect is taken out after the store has gone on: what is there at the opening may still be
// told, once.
void StreamPlay::note(const Copy& copy, Messages& told, std::set<StreamSequence>& early,
                      const StreamLogChange& change) {
  const std::string text = text_of(change.value.encoding, change.value.raw);
  if (change.is_delete && deleting_) {
    told.erase(change.seq);
  } else if (change.is_delete) {
    fail_("client " + std::to_string(copy.client) + " was told that " + text + " is gone");
  } else if (!told.emplace(change.seq, text).second && early.erase(change.seq) == 0) {
    fail_("client " + std::to_string(copy.client) + " was told " + text + " twice");
  }
}

void StreamPlay::publish_something() {
  std::size_t which = dice_.below(static_cast<std::uint32_t>(copies_.size()));
  while (copies_[which]->dead) which = (which + 1) % copies_.size();
  Copy& copy = *copies_[which];
  for (std::uint32_t burst = 1 + dice_.below(3); burst > 0; --burst) {
    const std::string text =
        "c" + std::to_string(copy.client) + "-" + std::to_string(copy.published.size());
    world_.trace("client " + std::to_string(copy.client) + " publishes " + text);
    copy.published.push_back(text);
    ++published_;
    const Status status = world_.fabric(copy.client)
                              .dstreams()
                              .publish(world_.clock(copy.client), copy.dstream,
                                       {PayloadEncoding::msgpack, encode_msgpack(Value(text))});
    if (!status.ok()) fail_("publish: " + status.error().text);
  }
  // Each message is shown once, whatever goes on.
  std::map<std::string, int> times;
  const DStreamStore& store = *world_.fabric(copy.client).dstreams().store(copy.dstream);
  for (std::size_t i = 0; i < store.size(); ++i) {
    const DStreamStore::Entry entry = store.entry(i);
    const std::string text = text_of(entry.encoding, entry.raw);
    if (++times[text] > 1)
      fail_("client " + std::to_string(copy.client) + " sees " + text + " twice");
  }
  for (const std::string& text : copy.published) {
    if (times[text] == 0) fail_("client " + std::to_string(copy.client) + " lost sight of " + text);
  }
}

bool StreamPlay::quiet() {
  return std::all_of(copies_.begin(), copies_.end(), [&](const auto& copy) {
    if (copy->dead) return true;
    const DStreamStore* store = world_.fabric(copy->client).dstreams().store(copy->dstream);
    return copy->opened && copy->core_opened && copy->connected && copy->core_connected &&
           store->is_stable();
  });
}

StreamPlay::Messages StreamPlay::shown(const Copy& copy) {
  Messages messages;
  const DStreamStore& store = *world_.fabric(copy.client).dstreams().store(copy.dstream);
  for (std::size_t i = 0; i < store.told_count(); ++i) {
    const DStreamStore::Entry entry = store.entry(i);
    messages.emplace(*entry.seq, text_of(entry.encoding, entry.raw));
  }
  return messages;
}

StreamPlay::Messages StreamPlay::held(const Copy& copy) {
  Messages messages;
  const MessageLog& log = world_.fabric(copy.client).core_streams().store(copy.core)->log();
  for (std::size_t i = 0; i < log.size(); ++i) {
    messages.emplace(log.at(i).seq, text_of(log.at(i).encoding, log.at(i).raw));
  }
  return messages;
}

void StreamPlay::check() {
  if (!quiet()) return fail_("not all streams came to rest");
  const auto& deleted = world_.disk().deleted(kPath);
  Messages stored;
  std::vector<std::string> order;
  for (const StoredMessage& message : world_.disk().history(kPath)) {
    const std::string text = text_of(message.encoding, message.raw);
    if (deleted.count(message.seq) == 0) stored.emplace(message.seq, text);
    order.push_back(text);
  }
  for (const auto& copy : copies_) {
    check_order(*copy, order);
    if (!copy->dead) check_copy(*copy, stored);
  }
}

// Exactly once, in the order of the publisher; of one that crashed at least what was acknowledged.
void StreamPlay::check_order(const Copy& copy, const std::vector<std::string>& order) {
  std::vector<std::string> of_this;
  const std::string prefix = "c" + std::to_string(copy.client) + "-";
  for (const std::string& text : order) {
    if (text.compare(0, prefix.size(), prefix) == 0) of_this.push_back(text);
  }
  const std::set<std::string> there(of_this.begin(), of_this.end());
  std::vector<std::string> expected;
  for (const std::string& text : copy.published) {
    if (copy.unsure.count(text) == 0 || there.count(text) > 0) expected.push_back(text);
  }
  if (of_this != expected) {
    fail_("client " + std::to_string(copy.client) + " published " +
          std::to_string(expected.size()) + " messages, " + std::to_string(of_this.size()) +
          " are stored, or in another order");
  }
}

void StreamPlay::on_crash(std::size_t client) {
  for (const auto& copy : copies_) {
    if (copy->client != client) continue;
    const DStreamStore& store = *world_.fabric(client).dstreams().store(copy->dstream);
    for (std::size_t i = store.numbered_count(); i < store.size(); ++i) {
      copy->unsure.insert(text_of(store.entry(i).encoding, store.entry(i).raw));
    }
    copy->dead = true;
  }
}

void StreamPlay::delete_oldest() {
  const auto copy =
      std::find_if(copies_.begin(), copies_.end(), [](const auto& item) { return !item->dead; });
  const DStreamStore& store = *world_.fabric((*copy)->client).dstreams().store((*copy)->dstream);
  if (store.told_count() == 0) return;
  deleting_ = true;
  Value arguments;
  arguments.set("last_seq", Value(*store.entry(store.told_count() / 2).seq));
  world_.trace("client " + std::to_string((*copy)->client) + " deletes the oldest messages");
  world_.fabric((*copy)->client)
      .streams()
      .command(world_.clock((*copy)->client),
               world_.fabric((*copy)->client).dstreams().stream((*copy)->dstream), "delete",
               arguments);
}

void StreamPlay::check_copy(const Copy& copy, const Messages& stored) {
  const std::string who = "client " + std::to_string(copy.client);
  if (shown(copy) != stored) fail_(who + "'s stream differs from what is stored");
  if (held(copy) != stored) fail_(who + "'s core stream differs from what is stored");
  if (copy.told != stored) fail_(who + " was not told all of the stream");
  if (copy.core_told != stored) fail_(who + " was not told all of the core stream");
}

}  // namespace conat::simulation
