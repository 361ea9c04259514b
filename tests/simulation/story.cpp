#include "simulation/story.hpp"

#include <algorithm>
#include <utility>

#include "simulation/values.hpp"

namespace conat::simulation {
namespace {

constexpr std::int64_t kSecond = 1000;
// Long enough for every dead link to be noticed: 25 s between pings, 20 s for the answer, and the
// sockets' own 45 s and 30 s.
constexpr std::int64_t kNoticed = 130 * kSecond;
constexpr std::int64_t kLongest = 900 * kSecond;

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
  kinds_ = {{"hub/plain", MergeKind::none, false}};
  switch (seed % 7) {
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
    case 5:
      kinds_.push_back({"hub/counter", MergeKind::counter, false});
      break;
    default:
      kinds_.push_back({"hub/volatile", MergeKind::none, true});
      break;
  }
  // Few as a rule, since the cost grows with their square.
  const std::size_t clients = chance(4) ? 5 + pick(kMostReplicas - 4) : 3 + pick(2);
  for (std::size_t i = 0; i < clients; ++i) add_client();
}

Story::~Story() = default;

std::vector<std::string> Story::run() {
  storm((30 + static_cast<std::int64_t>(pick(60))) * kSecond, true);
  calm();
  check_all();
  delete_for_good();
  streams_.delete_oldest();
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
    const auto id = world_.fabric(client).dkvs().open(world_.clock(client), owner, std::move(dkv));
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
    return !copy->dead && copy->client == client && copy->dkv == dkv;
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
      .resolve_merge(world_.clock(copy.client), asked.dkv, asked.merge,
                     encoded(Value(std::move(merged))));
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
  switch (pick(15)) {
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
    case 9:
    case 10:
      crash_client(victim);
      break;
    case 11:
      if (victim != World::host && !world_.alive(victim)) break;
      world_.advance_clock(victim, static_cast<std::int64_t>(pick(3'600'000)));
      break;
    case 12:
      jump_server_clock();
      break;
    case 13:
      world_.trace("the disk fails for a while");
      world_.disk().fail_until(world_.now() + static_cast<std::int64_t>(pick(5000)));
      break;
    default:
      for (std::size_t i = 0; i < world_.clients(); ++i) world_.cut(i);
      break;
  }
}

// Wherever it jumps, a repeated write is known by its msgID: forwards the jumps are together
// shorter than what is left of the two minutes that the server remembers it.
void Story::jump_server_clock() {
  const bool back = chance(2);
  const auto by = back ? -static_cast<std::int64_t>(pick(3'600'000))
                       : std::min(static_cast<std::int64_t>(pick(20'000)), forward_left_ms_);
  if (!back) forward_left_ms_ -= by;
  world_.trace("the server's clock jumps by " + std::to_string(by));
  world_.disk().jump_clock(by);
}

bool Story::quiet() {
  return streams_.quiet() && std::all_of(copies_.begin(), copies_.end(), [&](const auto& copy) {
           return copy->dead || (copy->opened && copy->connected &&
                                 world_.fabric(copy->client).dkvs().is_stable(copy->dkv));
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
    if (copy->dead || copy->kind != 0) continue;
    for (const auto& entry : view(*copy)) {
      if (!chance(2)) continue;
      deleted_.insert(entry.first);
      erase(*copy, entry.first);
    }
    return;
  }
}

}  // namespace conat::simulation
