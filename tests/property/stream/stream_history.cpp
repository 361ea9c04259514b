#include "property/stream/stream_history.hpp"

#include <catch2/catch.hpp>

#include "conat/base/random.hpp"
#include "conat/stream/stream.hpp"
#include "property/stream/faulty_store.hpp"
#include "property/stream/stream_model.hpp"

namespace conat::test {
namespace {

class History {
 public:
  explicit History(const HistoryOptions& options) : options_(options), random_(options.seed) {
    restart();
  }

  void run() {
    for (step_ = 0; step_ < options_.steps; ++step_) {
      if (random_.below(4) == 0) now_ += random_.below(random_.below(20) == 0 ? 90'000 : 400);
      if (random_.below(300) == 0) {
        restart();
      } else {
        run_group();
      }
      compare_counters();
      if (step_ % 50 == 0) compare_everything();
    }
    restart();
    compare_everything();
  }

 private:
  bool chance(std::uint32_t one_in) { return random_.below(one_in) == 0; }

  void restart() {
    stream_.reset();
    faulty_.reset();
    faulty_ = std::make_unique<FaultyStore>(options_.open_store());
    auto stream = Stream::open(*faulty_, now_, false);
    REQUIRE(stream.ok());
    stream_ = std::make_unique<Stream>(std::move(*stream));
    model_.reload(now_);
  }

  void run_group() {
    INFO("seed " << options_.seed << " step " << step_);
    const StreamModel before = model_;
    model_.changes.clear();
    REQUIRE(stream_->begin_group().ok());
    if (chance(12)) faulty_->fail_after(static_cast<int>(random_.below(8)));
    const std::uint32_t count = chance(3) ? 1 + random_.below(8) : 1;
    for (std::uint32_t i = 0; i < count && !stream_->group_failed(); ++i) one_step();
    const bool failed = stream_->group_failed();
    const Status committed = stream_->commit_group();
    const bool undone = failed || !committed.ok();
    REQUIRE(committed.ok() == !undone);
    faulty_->disarm();
    if (undone) {
      REQUIRE(committed.error().code.number == 507);
      model_ = before;
      model_.changes.clear();
    }
    model_.commit();
    std::vector<std::string> changes;
    for (const StreamChange& change : stream_->take_changes()) {
      changes.push_back(change_text(change));
    }
    REQUIRE(changes == model_.changes);
  }

  void one_step() {
    const std::uint32_t kind = random_.below(20);
    if (kind < 14) {
      set();
    } else if (kind < 17) {
      erase();
    } else if (kind < 18) {
      configure();
    } else {
      const Status enforced = stream_->enforce(now_);
      if (enforced.ok()) model_.enforce(now_);
    }
  }

  StreamSequence some_seq() {
    return static_cast<StreamSequence>(
        random_.below(static_cast<std::uint32_t>(model_.last_seq) + 3));
  }

  void set() {
    SetRequest request;
    if (!chance(3))
      request.key = std::string(random_.below(3), 'k') + std::to_string(random_.below(9));
    if (chance(40)) request.key = "";
    request.raw.assign(random_.below(chance(20) ? 3000 : 40), static_cast<std::uint8_t>(step_));
    if (chance(4)) request.headers_json = "{\"h\":" + std::to_string(random_.below(1000)) + "}";
    if (chance(3)) request.ttl_ms = random_.below(3000);
    if (chance(3)) request.message_id = "id" + std::to_string(random_.below(60));
    if (chance(5)) request.previous_seq = some_seq();
    if (chance(5)) {
      for (const ModelMessage& message : model_.messages) {
        if (request.key && message.key == request.key) request.previous_seq = message.seq;
      }
    }
    const auto result = stream_->set(now_, request);
    if (stream_->group_failed()) return;
    const std::string expected = model_.set(now_, request);
    REQUIRE((result.ok() ? std::to_string(result->seq) : result.error().text) == expected);
  }

  void erase() {
    DeleteRequest request;
    request.all = chance(30);
    if (chance(6)) request.last_seq = some_seq();
    if (chance(2)) request.seq = some_seq();
    if (chance(2)) request.seqs = {some_seq(), some_seq(), some_seq()};
    const auto result = stream_->erase(request);
    if (stream_->group_failed()) return;
    REQUIRE(result.ok());
    REQUIRE(*result == model_.erase(request));
  }

  Value number(std::uint32_t range) {
    return chance(2) ? Value(-1) : Value(static_cast<std::int64_t>(random_.below(range)));
  }

  void configure() {
    Value partial;
    if (chance(3)) partial.set("max_msgs", number(60));
    if (chance(3)) partial.set("max_bytes", number(2500));
    if (chance(4)) partial.set("max_age", number(5000));
    if (chance(5)) partial.set("max_msg_size", number(200));
    if (chance(5)) partial.set("max_msgs_per_second", number(30));
    if (chance(5)) partial.set("max_bytes_per_second", number(1500));
    if (chance(3)) partial.set("discard_policy", Value(chance(2) ? "old" : "new"));
    if (chance(3)) partial.set("allow_msg_ttl", Value(chance(2)));
    if (chance(9)) partial.set("nonsense", Value(1));
    const auto result = stream_->configure(now_, partial);
    if (stream_->group_failed()) return;
    REQUIRE(result.ok());
    StreamConfig changed = model_.config;
    REQUIRE(apply_partial(partial, changed).ok());
    model_.configure(now_, changed);
    REQUIRE(*result == config_to_value(model_.config));
  }

  void compare_counters() {
    INFO("seed " << options_.seed << " step " << step_);
    REQUIRE(stream_->totals().count == static_cast<std::int64_t>(model_.messages.size()));
    REQUIRE(stream_->totals().bytes == model_.bytes());
    REQUIRE(stream_->totals().last_seq == model_.last_seq);
    REQUIRE(stream_->totals().with_ttl == model_.with_ttl());
    const auto inventory = stream_->inventory();
    REQUIRE(inventory.ok());
    REQUIRE(inventory->seq == (model_.messages.empty() ? 0 : model_.messages.back().seq));
  }

  void compare_everything() {
    INFO("seed " << options_.seed << " step " << step_);
    const auto counted = faulty_->totals();
    REQUIRE(counted.ok());
    REQUIRE(counted->bytes == model_.bytes());
    REQUIRE(counted->count == static_cast<std::int64_t>(model_.messages.size()));
    std::vector<StoredMessage> stored;
    StreamSequence from = 0;
    for (;;) {  // in small pieces
      const auto next = stream_->get_range(from, 0, 700, stored);
      REQUIRE(next.ok());
      if (!*next) break;
      from = **next;
    }
    REQUIRE(stored.size() == model_.messages.size());
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < stored.size(); ++i) {
      const ModelMessage& message = model_.messages[i];
      REQUIRE(stored[i].seq == message.seq);
      REQUIRE(stored[i].time == message.time);
      REQUIRE(stored[i].key == message.key);
      REQUIRE(as_text(stored[i].raw) == message.raw);
      REQUIRE(stored[i].headers_json == message.headers);
      REQUIRE(stored[i].ttl_ms == message.ttl);
      REQUIRE(stored[i].size == message.size());
      if (message.key) keys.push_back(*message.key);
    }
    std::sort(keys.begin(), keys.end());
    REQUIRE(*stream_->keys() == keys);
    if (!keys.empty()) REQUIRE(stream_->get_key(keys[0]).value().has_value());
  }

  const HistoryOptions& options_;
  Random random_;
  int step_ = 0;
  UnixMs now_ = 1'795'445'889'622;
  std::unique_ptr<FaultyStore> faulty_;
  std::unique_ptr<Stream> stream_;
  StreamModel model_;
};

}  // namespace

void run_stream_history(const HistoryOptions& options) { History(options).run(); }

}  // namespace conat::test
