#include "simulation/story.hpp"

#include <algorithm>
#include <utility>

#include "conat/sync/value_hash.hpp"

namespace conat::simulation {
namespace {

constexpr std::int64_t kSecond = 1000;
// Long enough for every dead link to be noticed: 25 s between pings, 20 s for the answer, and the
// sockets' own 45 s and 30 s.
constexpr std::int64_t kNoticed = 130 * kSecond;
constexpr std::int64_t kLongest = 900 * kSecond;

EncodedValue encoded(const Value& value) {
  return {PayloadEncoding::msgpack, encode_msgpack(value)};
}

std::optional<Value> decoded(const std::optional<EncodedValue>& value) {
  if (!value) return std::nullopt;
  auto result = decode_payload(value->encoding, value->raw);
  return result.ok() ? std::optional<Value>(std::move(*result)) : std::nullopt;
}

WorldOptions world_options(std::uint64_t seed) {
  Random dice(seed * 2 + 1);
  WorldOptions options;
  options.seed = seed;
  options.shards = static_cast<ShardIndex>(1 + dice.below(3));
  options.max_latency_ms = dice.below(2) == 0 ? 5 : 100;
  options.max_disk_delay_ms = dice.below(2) == 0 ? 2 : 60;
  options.host_in_broker = dice.below(2) == 0;
  return options;
}

}  // namespace

Story::Story(std::uint64_t seed, World::OnTrace on_trace)
    : seed_(seed),
      dice_(seed * 2),
      world_(
          world_options(seed),
          [this](std::size_t client, FabricEffect& effect) { on_effect(client, effect); },
          std::move(on_trace)),
      streams_(world_, Random(seed * 2 + 7), [this](const std::string& what) { fail(what); }) {
  kinds_ = {{"hub/plain", MergeKind::none, false}, {"hub/counter", MergeKind::counter, false}};
  switch (seed % 6) {
    case 0:
      kinds_.push_back({"hub/fields", MergeKind::fields, false});
      break;
    case 1:
      kinds_.push_back({"hub/set", MergeKind::set, false});
      break;
    case 2:
      kinds_.push_back({"hub/text", MergeKind::text, false});
      break;
    case 3:
      kinds_.push_back({"hub/custom", MergeKind::custom, false});
      break;
    case 4:
      kinds_.push_back({"hub/lww", MergeKind::lww, false});
      break;
    default:
      kinds_.push_back({"hub/volatile", MergeKind::none, true});
      break;
  }
  const std::size_t clients = 2 + pick(3);
  for (std::size_t i = 0; i < clients; ++i) add_client();
}

Story::~Story() = default;

std::vector<std::string> Story::run() {
  storm((30 + static_cast<std::int64_t>(pick(60))) * kSecond, true);
  calm();
  check_all();
  delete_for_good();
  storm(20 * kSecond, false);
  // Who comes now must see the same.
  add_client();
  calm();
  check_all();
  check_deleted();
  return failures_;
}

void Story::fail(const std::string& what) {
  world_.trace("FAILED: " + what);
  failures_.push_back(what);
}

// ---- clients and what they tell ----

void Story::add_client() {
  ClientOptions options;
  options.encoding = chance(2) ? PacketEncoding::msgpack : PacketEncoding::text;
  const std::size_t client = world_.add_client(std::move(options));
  for (std::size_t kind = 0; kind < kinds_.size(); ++kind) {
    DkvOptions dkv;
    dkv.stream.path = kinds_[kind].path;
    dkv.stream.ephemeral = kinds_[kind].ephemeral;
    dkv.merge = kinds_[kind].merge;
    const Owner owner{Layer::user, static_cast<std::uint32_t>(kind)};
    const auto id = world_.fabric(client).dkvs().open(world_.now(), owner, std::move(dkv));
    if (!id.ok()) return fail("a store could not be opened: " + id.error().text);
    auto copy = std::make_unique<Copy>();
    copy->client = client;
    copy->kind = kind;
    copy->dkv = *id;
    copies_.push_back(std::move(copy));
  }
  streams_.add_client(client);
}

Story::Copy& Story::copy_of(std::size_t client, DkvId dkv) {
  return **std::find_if(copies_.begin(), copies_.end(), [&](const auto& copy) {
    return copy->client == client && copy->dkv == dkv;
  });
}

void Story::on_effect(std::size_t client, FabricEffect& effect) {
  if (streams_.on_effect(client, effect)) return;
  auto* event = std::get_if<DkvEffect>(&effect);
  if (event == nullptr) return;
  const DkvId dkv = std::visit([](const auto& item) { return item.dkv; }, *event);
  Copy& copy = copy_of(client, dkv);
  if (const auto* opened = std::get_if<dkv_effect::Opened>(event)) {
    if (opened->error) fail("opening failed for good: " + opened->error->text);
    if (copy.opened) fail("opened twice");
    copy.opened = true;
    copy.told = view(copy);
    // Of what was changed before, the echo will tell.
    for (const auto& key : world_.fabric(client).dkvs().unsaved_changes(dkv)) copy.told.erase(key);
  } else if (const auto* connection = std::get_if<dkv_effect::ConnectionChanged>(event)) {
    copy.connected = connection->connected;
  } else if (const auto* change = std::get_if<dkv_effect::Change>(event)) {
    on_change(copy, *change);
  } else if (const auto* asked = std::get_if<dkv_effect::MergeNeeded>(event)) {
    on_merge(copy, *asked);
  } else if (const auto* rejected = std::get_if<dkv_effect::Rejected>(event)) {
    fail("rejected: " + rejected->key + ": " + rejected->error.text);
  }
}

void Story::on_change(Copy& copy, const dkv_effect::Change& change) {
  ++changes_;
  const auto value = decoded(change.value);
  world_.trace("  client " + std::to_string(copy.client) + " " + kinds_[copy.kind].path + " " +
               change.key + " -> " + (value ? encode_json(*value) : "deleted"));
  if (value) {
    copy.told[change.key] = *value;
  } else {
    copy.told.erase(change.key);
  }
}

// The union of both sides.
void Story::on_merge(Copy& copy, const dkv_effect::MergeNeeded& asked) {
  const auto local = decoded(asked.local);
  const auto remote = decoded(asked.remote);
  std::set<std::int64_t> all;
  for (const auto& side : {local, remote}) {
    if (!side || side->if_array() == nullptr) continue;
    for (const Value& item : *side->if_array()) all.insert(item.integer_or(0));
  }
  Value::Array merged;
  for (const std::int64_t item : all) merged.emplace_back(item);
  world_.fabric(copy.client)
      .dkvs()
      .resolve_merge(world_.now(), asked.dkv, asked.merge, encoded(Value(std::move(merged))));
}

// ---- what happens ----

void Story::storm(std::int64_t length_ms, bool edit) {
  const TimeMs end = world_.now() + length_ms;
  const std::uint32_t trouble = 5 + static_cast<std::uint32_t>(pick(40));
  while (world_.now() < end) {
    // Now and then a flurry at one moment.
    world_.run_for(chance(4) ? 0 : static_cast<std::int64_t>(pick(1500)));
    if (edit) edit_something();
    if (edit && chance(3)) streams_.publish_something();
    if (chance(trouble)) cause_trouble();
    for (auto entry = back_at_.begin(); entry != back_at_.end();) {
      if (entry->second > world_.now()) {
        ++entry;
        continue;
      }
      world_.set_unreachable(entry->first, false);
      entry = back_at_.erase(entry);
    }
  }
}

void Story::cause_trouble() {
  // The persistence server's own link too, unless it is in the broker's process.
  const std::size_t who = pick(world_.clients() + 1);
  const std::size_t victim = who == world_.clients() ? World::host : who;
  switch (pick(10)) {
    case 0:
    case 1:
    case 2:
      world_.cut(victim);
      break;
    case 3:
      world_.freeze(victim, static_cast<std::int64_t>(pick(40'000)));
      break;
    case 4:
      world_.black_hole(victim);
      break;
    case 5:
    case 6:
      if (victim == World::host) break;
      world_.set_unreachable(victim, true);
      world_.cut(victim);
      back_at_[victim] = world_.now() + static_cast<std::int64_t>(pick(40'000));
      break;
    case 7:
      world_.crash_host(static_cast<std::int64_t>(pick(5000)));
      break;
    case 8:
      world_.crash_broker(static_cast<std::int64_t>(pick(5000)));
      break;
    default:
      for (std::size_t i = 0; i < world_.clients(); ++i) world_.cut(i);
      break;
  }
}

bool Story::quiet() {
  return streams_.quiet() && std::all_of(copies_.begin(), copies_.end(), [&](const auto& copy) {
           return copy->opened && copy->connected &&
                  world_.fabric(copy->client).dkvs().is_stable(copy->dkv);
         });
}

void Story::calm() {
  back_at_.clear();
  world_.heal();
  world_.run_for(kNoticed);
  for (std::int64_t waited = 0; !quiet() && waited < kLongest; waited += kSecond) {
    world_.run_for(kSecond);
  }
  // What is under way to others.
  world_.run_for(5 * kSecond);
}

void Story::delete_for_good() {
  for (const auto& copy : copies_) {
    if (copy->client != 0 || copy->kind != 0) continue;
    for (const auto& entry : view(*copy)) {
      if (!chance(2)) continue;
      deleted_.insert(entry.first);
      erase(*copy, entry.first);
    }
  }
}

// ---- edits ----

void Story::edit_something() {
  Copy& copy = *copies_[pick(copies_.size())];
  const std::string key(1, static_cast<char>('a' + pick(4)));
  switch (kinds_[copy.kind].merge) {
    case MergeKind::none:
    case MergeKind::lww:
      return edit_plain(copy, key);
    case MergeKind::counter:
      return edit_counter(copy, key);
    case MergeKind::fields:
      return edit_fields(copy, key);
    case MergeKind::set:
      return edit_set(copy, key);
    case MergeKind::text:
      return edit_text(copy, key);
    case MergeKind::custom:
      return edit_custom(copy, key);
  }
}

void Story::edit_plain(Copy& copy, const std::string& key) {
  if (chance(4)) {
    erase(copy, key);
  } else {
    set(copy, key, Value("v" + std::to_string(++next_number_)));
  }
}

void Story::edit_counter(Copy& copy, const std::string& key) {
  const auto before = get(copy, key);
  const auto delta = static_cast<std::int64_t>(1 + pick(3));
  sums_[key] += delta;
  set(copy, key, Value((before ? before->integer_or(0) : 0) + delta));
}

void Story::edit_fields(Copy& copy, const std::string& key) {
  const auto before = get(copy, key);
  Value object = before ? *before : Value(Value::Map{});
  const std::string field = "c" + std::to_string(copy.client);
  const Value value(++next_number_);
  object.set(field, value);
  fields_[key][field] = value;
  set(copy, key, object);
}

void Story::edit_set(Copy& copy, const std::string& key) {
  const auto before = get(copy, key);
  Value::Array items = before ? *before->if_array() : Value::Array{};
  if (!items.empty() && chance(4)) {
    const std::size_t which = pick(items.size());
    elements_[key].erase(items[which].integer_or(0));
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(which));
  } else {
    items.emplace_back(++next_number_);
    elements_[key].insert(next_number_);
  }
  set(copy, key, Value(std::move(items)));
}

void Story::edit_text(Copy& copy, const std::string& key) {
  const auto before = get(copy, key);
  std::string text(before ? before->text_or({}) : std::string_view{});
  std::vector<std::size_t> places{0};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '>') places.push_back(i + 1);
  }
  const std::string word = "<" + std::to_string(++next_number_) + ">";
  text.insert(places[pick(places.size())], word);
  words_[key].push_back(word);
  set(copy, key, Value(std::move(text)));
}

void Story::edit_custom(Copy& copy, const std::string& key) {
  const auto before = get(copy, key);
  Value::Array items = before ? *before->if_array() : Value::Array{};
  items.emplace_back(++next_number_);
  elements_[key].insert(next_number_);
  set(copy, key, Value(std::move(items)));
}

std::optional<Value> Story::get(const Copy& copy, const std::string& key) {
  return decoded(world_.fabric(copy.client).dkvs().get(copy.dkv, key));
}

void Story::set(Copy& copy, const std::string& key, const Value& value) {
  ++edits_;
  world_.trace("client " + std::to_string(copy.client) + " sets " + kinds_[copy.kind].path + " " +
               key + " = " + encode_json(value));
  copy.last_written[key] = value;
  const Status status =
      world_.fabric(copy.client).dkvs().set(world_.now(), copy.dkv, key, encoded(value));
  if (!status.ok()) fail("set: " + status.error().text);
}

void Story::erase(Copy& copy, const std::string& key) {
  ++edits_;
  world_.trace("client " + std::to_string(copy.client) + " erases " + kinds_[copy.kind].path + " " +
               key);
  copy.last_written.erase(key);
  const Status status = world_.fabric(copy.client).dkvs().erase(world_.now(), copy.dkv, key);
  if (!status.ok()) fail("erase: " + status.error().text);
}

Story::View Story::view(const Copy& copy) {
  View view;
  world_.fabric(copy.client)
      .dkvs()
      .for_each(copy.dkv, [&](std::string_view key, PayloadEncoding encoding, ByteView raw) {
        auto value = decode_payload(encoding, raw);
        if (value.ok()) view.emplace(std::string(key), std::move(*value));
        return true;
      });
  return view;
}

// ---- what must hold ----

void Story::check_all() {
  if (!quiet()) {
    for (const auto& copy : copies_) {
      Dkvs& dkvs = world_.fabric(copy->client).dkvs();
      if (copy->opened && copy->connected && dkvs.is_stable(copy->dkv)) continue;
      fail("client " + std::to_string(copy->client) + " never came to rest with " +
           kinds_[copy->kind].path + (copy->opened ? "" : ": not opened") +
           (copy->connected ? "" : ": not connected") +
           (dkvs.is_stable(copy->dkv) ? "" : ": unsaved changes"));
    }
    if (!streams_.quiet()) fail("a stream never came to rest");
    return;
  }
  streams_.check();
  check_copies_equal();
  for (const auto& copy : copies_) {
    check_told(*copy);
    if (!kinds_[copy->kind].ephemeral) check_history(*copy);
  }
  check_promises();
}

// All clients see the same, and it is what the server has.
void Story::check_copies_equal() {
  fingerprint_ = 0;
  for (std::size_t kind = 0; kind < kinds_.size(); ++kind) {
    const Copy* first = nullptr;
    View expected;
    for (const auto& copy : copies_) {
      if (copy->kind != kind) continue;
      const View seen = view(*copy);
      if (first == nullptr) {
        first = copy.get();
        expected = seen;
        for (const auto& entry : seen) {
          fingerprint_ =
              fingerprint_ * 31 + hash_bytes(as_bytes(entry.first)) + hash_value(entry.second);
        }
      } else if (seen != expected) {
        fail(kinds_[kind].path + " differs between client " + std::to_string(first->client) +
             " and client " + std::to_string(copy->client));
      }
    }
    if (kinds_[kind].ephemeral) continue;
    View stored;
    for (const StoredMessage& message : world_.disk().history(kinds_[kind].path)) {
      if (message.headers_json.find("CN-Tombstone") != std::string::npos) {
        stored.erase(*message.key);
      } else {
        stored[*message.key] = decode_payload(message.encoding, message.raw).value();
      }
    }
    if (stored != expected) fail(kinds_[kind].path + " differs from what the server has");
  }
}

// Change effects, one after the other, lead to what is there.
void Story::check_told(const Copy& copy) {
  if (copy.told != view(copy)) {
    fail("client " + std::to_string(copy.client) + " was not told all of " +
         kinds_[copy.kind].path);
  }
}

// Every client's last write of a key has reached the server (merges may have changed it).
void Story::check_history(const Copy& copy) {
  const MergeKind merge = kinds_[copy.kind].merge;
  if (merge != MergeKind::none && merge != MergeKind::lww) return;
  for (const auto& written : copy.last_written) {
    const auto& history = world_.disk().history(kinds_[copy.kind].path);
    const bool stored = std::any_of(history.begin(), history.end(), [&](const auto& message) {
      return message.key == written.first &&
             decode_payload(message.encoding, message.raw).value() == written.second;
    });
    if (!stored) {
      fail("client " + std::to_string(copy.client) + "'s last write of " + kinds_[copy.kind].path +
           " " + written.first + " was lost");
    }
  }
}

void Story::check_promises() {
  for (const auto& copy : copies_) {
    const MergeKind merge = kinds_[copy->kind].merge;
    if (merge == MergeKind::counter) {
      for (const auto& entry : sums_) {
        const auto value = get(*copy, entry.first);
        if (!value || value->integer_or(-1) != entry.second) {
          fail("counter " + entry.first + " is " + (value ? encode_json(*value) : "absent") +
               ", not " + std::to_string(entry.second));
        }
      }
    } else if (merge == MergeKind::set || merge == MergeKind::custom) {
      for (const auto& entry : elements_) {
        const auto value = get(*copy, entry.first);
        std::set<std::int64_t> seen;
        if (value) {
          for (const Value& item : *value->if_array()) seen.insert(item.integer_or(0));
        }
        if (seen != entry.second) fail("the set " + entry.first + " is not what was made of it");
      }
    } else if (merge == MergeKind::fields) {
      for (const auto& entry : fields_) {
        const auto value = get(*copy, entry.first);
        for (const auto& field : entry.second) {
          const Value* seen = value ? value->find(field.first) : nullptr;
          if (seen == nullptr || *seen != field.second) {
            fail("field " + field.first + " of " + entry.first + " was lost");
          }
        }
      }
    } else if (merge == MergeKind::text) {
      for (const auto& entry : words_) {
        const auto value = get(*copy, entry.first);
        const std::string text(value ? value->text_or({}) : std::string_view{});
        std::size_t length = 0;
        for (const std::string& word : entry.second) {
          if (text.find(word) == std::string::npos) fail("the word " + word + " was lost");
          length += word.size();
        }
        if (text.size() != length) fail("the text " + entry.first + " has something twice");
      }
    }
  }
}

void Story::check_deleted() {
  for (const auto& copy : copies_) {
    if (copy->kind != 0) continue;
    for (const std::string& key : deleted_) {
      if (get(*copy, key)) fail("the deleted key " + key + " came back");
    }
  }
}

}  // namespace conat::simulation
