#include "storage/crash_run.hpp"

#include <algorithm>
#include <cstring>
#include <random>

#include "storage/sqlite_database.hpp"

namespace conat::test {
namespace {

constexpr int kStorageFailed = 507;
constexpr std::size_t kManyMessages = 60;
constexpr std::size_t kManyLargeMessages = 15;
const std::string kPath = "hub/s";

bool is_storage_failure(const Error& error) {
  return error.code.number == kStorageFailed && error.text.rfind("storage failed: ", 0) == 0;
}

std::string text_of(const Result<SetResult>& result) {
  return result.ok() ? std::to_string(result->seq) : result.error().text;
}

std::string text_of(const std::vector<StreamSequence>& seqs) {
  std::string text;
  for (const StreamSequence seq : seqs) text += std::to_string(seq) + ",";
  return text;
}

std::string text_of(const Result<StorageAnswer>& answer) {
  if (!answer.ok()) return answer.error().text;
  if (const auto* set = std::get_if<SetResult>(&*answer)) return std::to_string(set->seq);
  if (const auto* seqs = std::get_if<std::vector<StreamSequence>>(&*answer)) return text_of(*seqs);
  std::string text;
  if (const auto* many = std::get_if<std::vector<Result<SetResult>>>(&*answer)) {
    for (const auto& result : *many) text += text_of(result) + ",";
  }
  return text;
}

// Bytes that do not compress.
Bytes noise(std::uint64_t seed, std::size_t size) {
  std::mt19937_64 source(seed);
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t word = source();
    std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, size - i));
  }
  return bytes;
}

}  // namespace

CrashRun::CrashRun(const CrashRunOptions& options, CrashTally& tally)
    : options_(options),
      tally_(tally),
      random_(options.seed),
      disk_(directory_.path(), options.seed + 1) {
  storage_.data_dir = directory_ / "data";
  storage_.durable_disk = options.durable;
  storage_.clock = [this] { return now_; };
  std::filesystem::create_directories(storage_.data_dir);
  possible_.push_back(model_);
}

// ---- lives ----

void CrashRun::one_point() {
  INFO("seed " << options_.seed << ", point " << tally_.points);
  ++tally_.points;
  arm_power_loss();
  if (!live_) open();
  if (!disk_.powered()) ++tally_.in_openings;
  const std::uint32_t groups = 1 + random_.below(40);
  for (std::uint32_t i = 0; i < groups && live_ != nullptr && disk_.powered(); ++i) {
    if (options_.failures && chance(4)) arm_failure();
    run_group();
    if (!disk_.powered()) {
      ++tally_.in_groups;
      break;
    }
    live_->maintain(++monotonic_);
    if (disk_.powered() && chance(12)) {
      close();
      disk_.repair();
      if (disk_.powered()) open();
    }
    if (!disk_.powered()) ++tally_.between_groups;
  }
  disk_.lose_power();
  live_.reset();
  disk_.restart();
  // Otherwise the next life opens it, and the power may go meanwhile.
  if (chance(2)) REQUIRE(open());
}

void CrashRun::finish() {
  INFO("seed " << options_.seed << ", at the end");
  disk_.repair();
  if (!live_) REQUIRE(open());
  check_now();
  close();
  REQUIRE(sqlite_tool(storage_.data_dir / "hub/s.db", "PRAGMA integrity_check;") == "ok\n");
}

void CrashRun::arm_power_loss() {
  if (chance(3)) return disk_.lose_power_at_sync(1 + random_.below(20));
  const std::uint32_t range = chance(3) ? 12 : (options_.large ? 2500 : 200);
  disk_.lose_power_at(1 + random_.below(range));
}

void CrashRun::arm_failure() {
  using Operation = FaultDisk::Operation;
  switch (random_.below(4)) {
    case 0:
      return disk_.fill_at(1 + random_.below(12));
    case 1:
      return disk_.fail_once(Operation::sync, 1 + random_.below(2), SQLITE_IOERR_FSYNC);
    case 2:
      return disk_.fail_once(Operation::write, 1 + random_.below(12), SQLITE_FULL);
    default:
      return disk_.fail_once(Operation::write, 1 + random_.below(12), SQLITE_IOERR_WRITE);
  }
}

// False when the disk failed meanwhile. Otherwise the file holds one of the states it may hold.
bool CrashRun::open() {
  auto live = storage::LiveStream::open(storage_, {1, kPath, false, false, true});
  if (!live.ok()) {
    INFO(live.error().text);
    REQUIRE(!disk_.powered());
    REQUIRE(is_storage_failure(live.error()));
    // Nothing is wrong with the file.
    REQUIRE(live.error().text.find("set aside") == std::string::npos);
    ++tally_.failed_openings;
    return false;
  }
  live_ = std::move(*live);
  if (disk_.powered()) recognize();
  return true;
}

void CrashRun::close() {
  live_->close();
  live_.reset();
}

void CrashRun::recognize() {
  const Snapshot found = snapshot();
  const auto state =
      std::find_if(possible_.rbegin(), possible_.rend(),
                   [&](const State& candidate) { return agrees(found, *candidate); });
  INFO(possible_.size() << " states; the file has " << found.messages.size()
                        << " messages, last seq " << found.last_seq << "; the latest state "
                        << possible_.back()->messages.size() << ", " << possible_.back()->last_seq);
  REQUIRE(state != possible_.rend());
  const auto newer = static_cast<std::size_t>(state - possible_.rbegin());
  if (unanswered_ > 0) ++(newer < unanswered_ ? tally_.kept : tally_.undone);
  if (newer > unanswered_) ++tally_.forgotten;
  model_ = State(*state);
  possible_.assign(1, model_);
  unanswered_ = 0;
}

CrashRun::Snapshot CrashRun::snapshot() {
  Snapshot found;
  auto database = storage::SqliteDatabase::open((storage_.data_dir / "hub/s.db").string(),
                                                SQLITE_OPEN_READWRITE, false);
  REQUIRE(database.ok());
  auto check = database->prepare("PRAGMA integrity_check", false);
  REQUIRE(check.ok());
  REQUIRE(check->step() == SQLITE_ROW);
  REQUIRE(std::string(check->text(0)) == "ok");
  const auto last = database->integer("SELECT seq FROM sqlite_sequence WHERE name='messages'");
  REQUIRE(last.ok());
  found.last_seq = last->value_or(0);
  auto fields = database->prepare("SELECT field,value FROM config", false);
  REQUIRE(fields.ok());
  StoredConfig stored;
  while (fields->step() == SQLITE_ROW) {
    stored.emplace_back(std::string(fields->text(0)), std::string(fields->text(1)));
  }
  found.config = config_to_value(parse_config(stored));
  // The content as clients get it.
  std::vector<StorageRequest> requests;
  requests.push_back({1, StorageGetAll{0, 0, 1u << 30}});
  std::size_t consumed = 0;
  StorageResult result = live_->run(requests, consumed);
  REQUIRE(result.items.size() == 1);
  REQUIRE(result.items[0].answer.ok());
  found.messages = std::move(std::get<StorageRange>(*result.items[0].answer).messages);
  return found;
}

bool CrashRun::agrees(const Snapshot& found, const StreamModel& model) {
  if (found.last_seq != model.last_seq || found.messages.size() != model.messages.size()) {
    return false;
  }
  if (found.config != config_to_value(model.config)) return false;
  return std::equal(found.messages.begin(), found.messages.end(), model.messages.begin(),
                    [](const StoredMessage& message, const ModelMessage& expected) {
                      return message.seq == expected.seq && message.time == expected.time &&
                             message.key == expected.key && message.ttl_ms == expected.ttl &&
                             message.headers_json == expected.headers &&
                             as_text(message.raw) == expected.raw;
                    });
}

void CrashRun::check_now() {
  const bool same = agrees(snapshot(), *model_);
  REQUIRE(same);
}

// ---- work ----

void CrashRun::run_group() {
  if (chance(3)) now_ += random_.below(chance(10) ? 60'000 : 500);
  const auto next = std::make_shared<StreamModel>(*model_);
  StreamModel& after = *next;
  std::vector<StorageRequest> requests;
  std::vector<Expected> expected;
  const std::uint32_t count = chance(2) ? 1 + random_.below(6) : 1;
  for (std::uint32_t i = 0; i < count; ++i) {
    expected.emplace_back();
    requests.push_back({i, command(after, expected.back())});
  }
  after.commit();
  after.changes.clear();
  std::size_t consumed = 0;
  const StorageResult result = live_->run(requests, consumed);
  REQUIRE(consumed == requests.size());
  if (!failed(result)) {
    check_answers(result, expected);
    model_ = next;
    if (options_.durable) possible_.clear();
    possible_.push_back(model_);
    unanswered_ = 0;
    return;
  }
  REQUIRE(result.changes.empty());
  // Nobody was told that it is stored. It may be found there nevertheless after a power failure.
  possible_.push_back(next);
  ++unanswered_;
  if (!disk_.powered()) return;
  // Until then it is not there, and with a sound disk everything works again.
  ++tally_.failed_groups;
  check_now();
  if (chance(2)) disk_.repair();
}

// Whether the group met with a failing disk; then no write of it is acknowledged.
bool CrashRun::failed(const StorageResult& result) const {
  const auto fails = [](const StorageResult::Item& item) {
    return !item.answer.ok() && is_storage_failure(item.answer.error());
  };
  if (std::none_of(result.items.begin(), result.items.end(), fails)) return false;
  const bool all = std::all_of(result.items.begin(), result.items.end(), fails);
  REQUIRE(all);
  REQUIRE((!disk_.powered() || disk_.failures() > 0));
  return true;
}

void CrashRun::check_answers(const StorageResult& result, const std::vector<Expected>& expected) {
  REQUIRE(result.items.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Result<StorageAnswer>& answer = result.items[i].answer;
    if (expected[i].config) {
      INFO((answer.ok() ? "" : answer.error().text));
      REQUIRE(answer.ok());
      REQUIRE(std::get<Value>(*answer) == *expected[i].config);
    } else {
      REQUIRE(text_of(answer) == expected[i].text);
    }
  }
}

StorageCommand CrashRun::command(StreamModel& model, Expected& expected) {
  const std::uint32_t kind = random_.below(20);
  const std::size_t many = options_.large ? kManyLargeMessages : kManyMessages;
  if (kind < 2 || model.messages.size() > many) return some_delete(model, expected);
  if (kind < 3) return some_config(model, expected);
  if (kind < 6) {
    StorageSetMany sets;
    const std::uint32_t count = 1 + random_.below(6);
    for (std::uint32_t i = 0; i < count; ++i) {
      sets.items.push_back(some_set(model));
      expected.text += model.set(now_, sets.items.back()) + ",";
    }
    return sets;
  }
  SetRequest request = some_set(model);
  const StreamSequence last = model.last_seq;
  expected.text = model.set(now_, request);
  // The answer is a number that was given before.
  if (model.last_seq == last && expected.text.find(' ') == std::string::npos) ++tally_.repeated;
  return request;
}

SetRequest CrashRun::some_set(const StreamModel& model) {
  // As after a lost connection: some were stored and acknowledged, others not.
  if (!recent_.empty() && chance(4)) {
    return recent_[random_.below(static_cast<std::uint32_t>(recent_.size()))];
  }
  SetRequest request;
  const auto number = static_cast<std::uint64_t>(++next_message_);
  if (!chance(3)) request.key = "key" + std::to_string(random_.below(30));
  std::uint32_t range = chance(15) ? 40'000 : 3000;
  if (options_.large) range = 150'000;
  request.raw = noise(number, random_.below(range));
  if (chance(4)) request.headers_json = "{\"h\":" + std::to_string(number) + "}";
  if (chance(6)) {
    request.previous_seq =
        static_cast<StreamSequence>(random_.below(static_cast<std::uint32_t>(model.last_seq) + 2));
  }
  if (!chance(3)) {
    request.message_id = "id" + std::to_string(number);
    recent_.push_back(request);
    if (recent_.size() > 12) recent_.pop_front();
  }
  return request;
}

StorageCommand CrashRun::some_delete(StreamModel& model, Expected& expected) {
  DeleteRequest request;
  const auto some_seq = [&] {
    const StreamSequence first = model.messages.empty() ? 0 : model.messages.front().seq;
    const auto range = static_cast<std::uint32_t>(model.last_seq - first) + 2;
    return first + static_cast<StreamSequence>(random_.below(range));
  };
  if (chance(12)) {
    request.all = true;
  } else if (chance(2)) {
    request.last_seq = some_seq();
  } else if (chance(2)) {
    request.seqs = {some_seq(), some_seq()};
  } else {
    request.seq = some_seq();
  }
  expected.text = text_of(model.erase(request));
  return request;
}

StorageCommand CrashRun::some_config(StreamModel& model, Expected& expected) {
  Value partial;
  partial.set("desc", Value("description " + std::to_string(random_.below(1000))));
  if (chance(3)) partial.set("max_msgs", Value(chance(2) ? -1 : 40));
  if (chance(3)) partial.set("max_bytes", Value(chance(2) ? -1 : 3'000'000));
  if (chance(4)) partial.set("max_age", Value(chance(2) ? 0 : 300'000));
  StreamConfig changed = model.config;
  REQUIRE(apply_partial(partial, changed).ok());
  model.configure(now_, changed);
  expected.config = config_to_value(model.config);
  return StorageConfigure{std::move(partial)};
}

}  // namespace conat::test
