// What must hold when a story has come to rest.
#include <algorithm>
#include <utility>

#include "conat/sync/value_hash.hpp"
#include "simulation/story.hpp"
#include "simulation/values.hpp"

namespace conat::simulation {

// ---- what must hold ----

void Story::check_all() {
  if (!quiet()) {
    for (const auto& copy : copies_) {
      if (copy->dead) continue;
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
    if (!copy->dead) check_told(*copy);
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
      if (copy->dead || copy->kind != kind) continue;
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
    if (copy->dead) continue;
    switch (kinds_[copy->kind].merge) {
      case MergeKind::counter:
        check_counters(*copy);
        break;
      case MergeKind::set:
      case MergeKind::custom:
        check_sets(*copy);
        break;
      case MergeKind::fields:
        check_fields(*copy);
        break;
      case MergeKind::text:
        check_texts(*copy);
        break;
      case MergeKind::none:
      case MergeKind::lww:
        break;
    }
  }
}

// The sum of all that was added, but for what a crash may have taken: nothing, or the last things
// one client had added.
void Story::check_counters(const Copy& copy) {
  for (const auto& entry : sums_) {
    std::set<std::int64_t> possible{entry.second};
    for (const auto& lost : unsure_sums_[entry.first]) {
      std::set<std::int64_t> more;
      for (const std::int64_t sum : possible) {
        for (const std::int64_t amount : lost) more.insert(sum - amount);
      }
      possible = std::move(more);
    }
    const auto value = get(copy, entry.first);
    if (possible.count(value ? value->integer_or(-1) : 0) > 0) continue;
    fail("counter " + entry.first + " is " + (value ? encode_json(*value) : "absent") + ", not " +
         std::to_string(entry.second));
  }
}

void Story::check_sets(const Copy& copy) {
  for (const auto& entry : elements_) {
    const auto value = get(copy, entry.first);
    std::set<std::int64_t> seen;
    if (value) {
      for (const Value& item : *value->if_array()) seen.insert(item.integer_or(0));
      if (seen.size() != value->if_array()->size()) fail("the set has something twice");
    }
    std::set<std::int64_t> expected = entry.second;
    for (const std::int64_t element : unsure_elements_[entry.first]) {
      seen.erase(element);
      expected.erase(element);
    }
    if (seen != expected) fail("the set " + entry.first + " is not what was made of it");
  }
}

void Story::check_fields(const Copy& copy) {
  for (const auto& entry : fields_) {
    const auto value = get(copy, entry.first);
    for (const auto& field : entry.second) {
      const Value* seen = value ? value->find(field.first) : nullptr;
      if (seen != nullptr && *seen == field.second) continue;
      const auto& possible = unsure_fields_[entry.first][field.first];
      const bool allowed = std::any_of(possible.begin(), possible.end(), [&](const Value& item) {
        return seen == nullptr ? item == Value() : item == *seen;
      });
      if (!allowed) fail("field " + field.first + " of " + entry.first + " was lost");
    }
  }
}

void Story::check_texts(const Copy& copy) {
  for (const auto& entry : words_) {
    const auto value = get(copy, entry.first);
    const std::string text(value ? value->text_or({}) : std::string_view{});
    std::size_t length = 0;
    for (const std::string& word : entry.second) {
      if (text.find(word) != std::string::npos) {
        length += word.size();
      } else if (unsure_words_.count(word) == 0) {
        fail("the word " + word + " was lost");
      }
    }
    if (text.size() != length) fail("the text " + entry.first + " has something twice");
  }
}

void Story::check_deleted() {
  for (const auto& copy : copies_) {
    if (copy->dead || copy->kind != 0) continue;
    for (const std::string& key : deleted_) {
      if (get(*copy, key)) fail("the deleted key " + key + " came back");
    }
  }
}

}  // namespace conat::simulation
