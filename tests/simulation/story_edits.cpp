// What the clients of a story write.
#include <utility>

#include "simulation/story.hpp"
#include "simulation/values.hpp"

namespace conat::simulation {

// ---- edits ----

void Story::edit_something() {
  std::size_t which = pick(copies_.size());
  while (copies_[which]->dead) which = (which + 1) % copies_.size();
  Copy& copy = *copies_[which];
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
  Pending pending;
  pending.number = delta;
  note(copy, key, std::move(pending));
  set(copy, key, Value((before ? before->integer_or(0) : 0) + delta));
}

void Story::edit_fields(Copy& copy, const std::string& key) {
  const auto before = get(copy, key);
  Value object = before ? *before : Value(Value::Map{});
  const std::string field = "c" + std::to_string(copy.client);
  const Value value(++next_number_);
  object.set(field, value);
  Pending pending;
  pending.number = next_number_;
  pending.before = fields_[key][field];
  note(copy, key, std::move(pending));
  fields_[key][field] = value;
  set(copy, key, object);
}

void Story::edit_set(Copy& copy, const std::string& key) {
  const auto before = get(copy, key);
  Value::Array items = before ? *before->if_array() : Value::Array{};
  if (!items.empty() && chance(4)) {
    const std::size_t which = pick(items.size());
    const std::int64_t element = items[which].integer_or(0);
    elements_[key].erase(element);
    note_number(copy, key, element);
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(which));
  } else {
    items.emplace_back(++next_number_);
    elements_[key].insert(next_number_);
    note_number(copy, key, next_number_);
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
  Pending pending;
  pending.word = word;
  note(copy, key, std::move(pending));
  set(copy, key, Value(std::move(text)));
}

void Story::edit_custom(Copy& copy, const std::string& key) {
  const auto before = get(copy, key);
  Value::Array items = before ? *before->if_array() : Value::Array{};
  items.emplace_back(++next_number_);
  elements_[key].insert(next_number_);
  note_number(copy, key, next_number_);
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
  const Status status = world_.fabric(copy.client)
                            .dkvs()
                            .set(world_.clock(copy.client), copy.dkv, key, encoded(value));
  if (!status.ok()) fail("set: " + status.error().text);
}

void Story::erase(Copy& copy, const std::string& key) {
  ++edits_;
  world_.trace("client " + std::to_string(copy.client) + " erases " + kinds_[copy.kind].path + " " +
               key);
  copy.last_written.erase(key);
  const Status status =
      world_.fabric(copy.client).dkvs().erase(world_.clock(copy.client), copy.dkv, key);
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

}  // namespace conat::simulation
