// Connections that break at random moments. Whatever happens: subscriptions survive, nothing is
// delivered twice, order holds, every call is answered once and correctly.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "conat/subject/subject.hpp"
#include "loopback/world.hpp"

using namespace conat;
using namespace conat::test;
namespace effects = conat::client_effect;

namespace {

constexpr std::size_t kClients = 6;
const Owner kService{Layer::service, 2};
const char* const kPatterns[] = {"a.*", "a.1", "a.>", "b.*.c", "b.1.c", "c"};
const char* const kSubjects[] = {"a.1", "a.2", "b.1.c", "b.2.c", "c"};

// A random history of calls and cuts, which keeps the books on what has to hold.
class History {
 public:
  explicit History(std::uint64_t seed)
      : world_(options(seed),
               [this](std::size_t client, ClientEffect& effect) { on_effect(client, effect); }) {
    for (std::size_t i = 0; i < kClients; ++i) {
      ClientOptions client;
      client.request_timeout_ms = 20'000;
      client.publish_timeout_ms = 20'000;
      world_.client(world_.add_client(client)).connect(world_.now());
    }
    // Client 0 answers requests with what it was asked.
    REQUIRE(world_.client(0).subscribe(world_.now(), kService, "echo").ok());
  }

  void run() {
    for (int step = 0; step < 400; ++step) {
      act();
      world_.run_for(world_.random().below(40));
      if (world_.random().below(12) == 0) world_.cut(pick());
      if (world_.random().below(40) == 0) {
        const std::size_t client = pick();
        world_.set_unreachable(client, true);
        world_.cut(client);
        away_.insert(client);
      }
      if (!away_.empty() && world_.random().below(10) == 0) {
        world_.set_unreachable(*away_.begin(), false);
        away_.erase(away_.begin());
      }
    }
    for (const std::size_t client : away_) world_.set_unreachable(client, false);
    // Long enough for every reconnect, every comparison and every time-out.
    world_.run_for(120'000);
  }

  void check() {
    CHECK(wrong_ == "");
    for (const auto& [key, calls] : open_calls_) {
      INFO("client " << key << " has unanswered calls");
      CHECK(calls.empty());
    }
    CHECK(answered_ > 50);
    // In peace everything arrives exactly once, with the right count.
    for (std::size_t publisher = 0; publisher < kClients; ++publisher) {
      for (const char* subject : kSubjects) {
        arrivals_.clear();
        counts_.clear();
        const auto expected_entries = matching(subject);
        publish(publisher, subject, false);
        const std::string id = last_id_;
        world_.run_for(200);
        std::map<std::pair<std::size_t, SubscriptionId>, int> seen;
        for (const auto& [where, what] : arrivals_) {
          if (what == id) ++seen[where];
        }
        std::size_t expected = 0;
        std::set<std::pair<std::size_t, std::string>> at_server;
        for (const auto& entry : expected_entries) {
          ++expected;
          CHECK(seen[{entry.client, entry.id}] == 1);
          at_server.insert({entry.client, entry.pattern});
        }
        CHECK(seen.size() == expected);
        REQUIRE(counts_.size() == 1);
        CHECK(counts_[0] == at_server.size());
      }
    }
    CHECK(wrong_ == "");
  }

  // Publishes that failed because their connection broke.
  int lost() const { return lost_; }

 private:
  struct Subscribed {
    std::size_t client;
    SubscriptionId id;
    std::string pattern;
  };

  static WorldOptions options(std::uint64_t seed) {
    WorldOptions result;
    result.seed = seed;
    result.shards = static_cast<ShardIndex>(1 + seed % 3);
    result.max_latency_ms = 15;
    result.broker.max_payload_bytes = 103'000;  // chunks of 3000 bytes
    return result;
  }

  std::size_t pick() { return world_.random().below(kClients); }

  void act() {
    const std::size_t client = pick();
    switch (world_.random().below(8)) {
      case 0: {
        const char* pattern = kPatterns[world_.random().below(std::size(kPatterns))];
        const auto id = world_.client(client).subscribe(world_.now(), kUser, pattern);
        REQUIRE(id.ok());
        subscriptions_.push_back({client, *id, pattern});
        break;
      }
      case 1: {
        if (subscriptions_.empty()) break;
        const std::size_t index =
            world_.random().below(static_cast<std::uint32_t>(subscriptions_.size()));
        const Subscribed gone = subscriptions_[index];
        subscriptions_.erase(subscriptions_.begin() + static_cast<std::ptrdiff_t>(index));
        world_.client(gone.client).unsubscribe(world_.now(), gone.id);
        ended_.insert({gone.client, gone.id});
        break;
      }
      case 2:
      case 3:
        ask(client);
        break;
      default:
        publish(client, kSubjects[world_.random().below(std::size(kSubjects))],
                world_.random().below(5) == 0);
    }
  }

  void publish(std::size_t client, const char* subject, bool big) {
    const int sequence = ++sequences_[client];
    last_id_ = std::to_string(client) + ":" + std::to_string(sequence);
    Value::Map map{{"id", Value(last_id_)},
                   {"from", Value(static_cast<int>(client))},
                   {"sequence", Value(sequence)}};
    if (big) map.emplace_back("ballast", Value(std::string(10'000, 'b')));
    const auto call = world_.client(client).publish(world_.now(), kUser, subject,
                                                    MessageData::of(Value(std::move(map))));
    REQUIRE(call.ok());
    open_calls_[client].insert(*call);
  }

  void ask(std::size_t client) {
    const int number = ++questions_;
    RequestOptions options;
    options.wait_for_interest = world_.random().below(2) == 0;
    const auto call = world_.client(client).request(world_.now(), kUser, "echo",
                                                    MessageData::of(Value(number)), options);
    REQUIRE(call.ok());
    open_calls_[client].insert(*call);
    expected_[{client, *call}] = number;
  }

  void on_effect(std::size_t client, ClientEffect& effect) {
    if (auto* arrived = std::get_if<effects::MessageArrived>(&effect)) {
      on_message(client, *arrived);
    } else if (auto* done = std::get_if<effects::PublishDone>(&effect)) {
      if (done->owner == kService) return;
      finish(client, done->call);
      if (done->result.ok()) {
        counts_.push_back(done->result->count);
        ++answered_;
      } else {
        ++lost_;
      }
    } else if (auto* reply = std::get_if<effects::ReplyArrived>(&effect)) {
      finish(client, reply->call);
      if (!reply->last) wrong_ = "a request had more than one answer";
      if (!reply->reply.ok()) return;
      ++answered_;
      if (reply->reply->data.decode()->integer_or(-1) != expected_[{client, reply->call}]) {
        wrong_ = "a request got another one's answer";
      }
    } else if (std::holds_alternative<effects::SubscriptionEnded>(effect)) {
      wrong_ = "a subscription ended by itself";
    } else if (auto* subscribed = std::get_if<effects::SubscribeDone>(&effect)) {
      // One whose confirmation did not come in time is gone; the books must know it.
      if (!subscribed->error) return;
      if (subscribed->owner == kService) wrong_ = "the service was not subscribed";
      for (auto it = subscriptions_.begin(); it != subscriptions_.end(); ++it) {
        if (it->client != client || it->id != subscribed->subscription) continue;
        subscriptions_.erase(it);
        break;
      }
    }
  }

  void on_message(std::size_t client, const effects::MessageArrived& arrived) {
    if (arrived.owner == kService) {
      PublishOptions options;
      options.wait_for_interest = true;
      const std::string subject(arrived.message.reply_subject());
      (void)world_.client(client).publish(world_.now(), kService, subject,
                                          MessageData::of(*arrived.message.data.decode()), options);
      return;
    }
    const Result<Value> value = arrived.message.data.decode();
    if (!value.ok()) {
      wrong_ = "a message came damaged";
      return;
    }
    const std::string id(value->find("id")->text_or(""));
    const std::pair<std::size_t, SubscriptionId> where{client, arrived.subscription};
    if (ended_.count(where) != 0) wrong_ = "a message for a subscription that was given up";
    if (!delivered_.insert({where, id}).second) wrong_ = "message " + id + " came twice";
    arrivals_.emplace_back(where, id);
    const std::int64_t from = value->find("from")->integer_or(-1);
    const std::int64_t sequence = value->find("sequence")->integer_or(-1);
    std::int64_t& last = last_sequence_[{where, from}];
    if (sequence <= last) wrong_ = "message " + id + " came out of order";
    last = sequence;
  }

  void finish(std::size_t client, CallId call) {
    if (open_calls_[client].erase(call) == 0) wrong_ = "a call was answered twice";
  }

  std::vector<Subscribed> matching(std::string_view subject) const {
    std::vector<Subscribed> result;
    for (const Subscribed& entry : subscriptions_) {
      if (pattern_matches(entry.pattern, subject)) result.push_back(entry);
    }
    return result;
  }

  World world_;
  std::vector<Subscribed> subscriptions_;
  std::set<std::size_t> away_;
  std::set<std::pair<std::size_t, SubscriptionId>> ended_;
  std::map<std::size_t, int> sequences_;
  std::map<std::size_t, std::set<CallId>> open_calls_;
  std::map<std::pair<std::size_t, CallId>, int> expected_;
  std::set<std::pair<std::pair<std::size_t, SubscriptionId>, std::string>> delivered_;
  std::map<std::pair<std::pair<std::size_t, SubscriptionId>, std::int64_t>, std::int64_t>
      last_sequence_;
  std::vector<std::pair<std::pair<std::size_t, SubscriptionId>, std::string>> arrivals_;
  std::vector<std::uint64_t> counts_;
  std::string last_id_;
  std::string wrong_;
  int questions_ = 0;
  int answered_ = 0;
  int lost_ = 0;
};

}  // namespace

TEST_CASE("loopback: random cuts break nothing that was promised") {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    INFO("seed " << seed);
    History history(seed);
    history.run();
    history.check();
    lost += history.lost();
  }
  CHECK(lost > 50);  // the cuts did hit calls that were under way
}
