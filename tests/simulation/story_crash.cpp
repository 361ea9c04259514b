// A client that crashes: what it had saved must be there, what it had not may be.
#include <utility>

#include "simulation/story.hpp"

namespace conat::simulation {

// An edit that is not certain to be stored before the key is saved.
void Story::note(Copy& copy, const std::string& key, Pending pending) {
  bool unsaved = false;
  for (const std::string& each : world_.fabric(copy.client).dkvs().unsaved_changes(copy.dkv)) {
    unsaved = unsaved || each == key;
  }
  auto& edits = copy.pending[key];
  if (!unsaved) edits.clear();
  edits.push_back(std::move(pending));
}

void Story::note_number(Copy& copy, const std::string& key, std::int64_t number) {
  Pending pending;
  pending.number = number;
  note(copy, key, std::move(pending));
}

// It is gone, and another one comes.
void Story::crash_client(std::size_t client) {
  if (client == World::host || !world_.alive(client) || crashes_ == kMostCrashes) return;
  ++crashes_;
  for (const auto& copy : copies_) {
    if (copy->client != client) continue;
    for (const auto& key : world_.fabric(client).dkvs().unsaved_changes(copy->dkv)) {
      copy->last_written.erase(key);
      doubt(*copy, key);
    }
    copy->dead = true;
  }
  streams_.on_crash(client);
  world_.crash_client(client);
  add_client();
}

void Story::doubt(Copy& copy, const std::string& key) {
  const std::vector<Pending> edits = std::exchange(copy.pending[key], {});
  switch (kinds_[copy.kind].merge) {
    case MergeKind::counter: {
      std::vector<std::int64_t> lost{0};
      for (auto edit = edits.rbegin(); edit != edits.rend(); ++edit) {
        lost.push_back(lost.back() + edit->number);
      }
      unsure_sums_[key].push_back(std::move(lost));
      break;
    }
    case MergeKind::set:
    case MergeKind::custom:
      for (const Pending& edit : edits) unsure_elements_[key].insert(edit.number);
      break;
    case MergeKind::fields: {
      auto& possible = unsure_fields_[key]["c" + std::to_string(copy.client)];
      for (const Pending& edit : edits) {
        possible.push_back(edit.before);
        possible.emplace_back(edit.number);
      }
      break;
    }
    case MergeKind::text:
      for (const Pending& edit : edits) unsure_words_.insert(edit.word);
      break;
    case MergeKind::none:
    case MergeKind::lww:
      break;
  }
}

}  // namespace conat::simulation
