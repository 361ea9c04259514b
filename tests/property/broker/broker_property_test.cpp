// Brokers of one to three shards against a model: random subscribes, unsubscribes, publishes,
// closes, with mail between the shards delivered in random order.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "conat/subject/subject.hpp"
#include "unit/broker/broker_world.hpp"

using namespace conat;
using namespace conat::test;

namespace {

struct Model {
  struct Subscriber {
    std::unique_ptr<TestClient> client;
    std::map<std::string, std::string> queues;  // by pattern
  };
  std::vector<Subscriber> subscribers;

  // (pattern, queue) -> the subscribers of it, for what matches the subject
  std::map<std::pair<std::string, std::string>, std::set<std::size_t>> groups(
      const std::string& subject) const {
    std::map<std::pair<std::string, std::string>, std::set<std::size_t>> found;
    for (std::size_t i = 0; i < subscribers.size(); ++i) {
      for (const auto& [pattern, queue] : subscribers[i].queues) {
        if (pattern_matches(pattern, subject)) found[{pattern, queue}].insert(i);
      }
    }
    return found;
  }
};

class Run {
 public:
  Run(ShardIndex shards, std::uint64_t seed)
      : world_(
            [&] {
              BrokerOptions options;
              options.shard_count = shards;
              return options;
            }(),
            seed),
        shards_(shards) {
    for (int i = 0; i < 8; ++i) add_client();
  }

  void step() {
    const std::uint32_t dice = pick(100);
    if (dice < 30) {
      subscribe();
    } else if (dice < 50) {
      unsubscribe();
    } else if (dice < 95) {
      publish();
    } else if (dice < 98) {
      replace_client();
    } else {
      check_lists();
    }
  }

  void finish() {
    for (auto& subscriber : model_.subscribers) subscriber.client->close();
    for (ShardIndex shard = 0; shard < shards_; ++shard) {
      CHECK(world_.broker(shard).counters().subscriptions == 0);
      CHECK(world_.broker(shard).counters().connections_open == 0);
    }
  }

 private:
  std::uint32_t pick(std::uint32_t bound) { return world_.random.below(bound); }

  std::string subject() {
    static const char* const kTokens[] = {"a", "b", "c"};
    std::string text = kTokens[pick(3)];
    for (std::uint32_t more = pick(3); more > 0; --more) text.append(".").append(kTokens[pick(3)]);
    return text;
  }
  std::string pattern() {
    if (pick(12) == 0) return ">";
    std::string text;
    const std::string whole = subject();
    for (const std::string_view token : split_tokens(whole)) {
      if (!text.empty()) text += '.';
      text += pick(4) == 0 ? "*" : std::string(token);
    }
    if (pick(5) == 0) text += ".>";
    return text;
  }

  void add_client() {
    const auto encoding = pick(2) == 0 ? PacketEncoding::text : PacketEncoding::msgpack;
    auto client = world_.client(encoding, static_cast<ShardIndex>(pick(shards_)));
    client->connect();
    model_.subscribers.push_back({std::move(client), {}});
  }
  void replace_client() {
    auto& gone = model_.subscribers[pick(static_cast<std::uint32_t>(model_.subscribers.size()))];
    if (pick(2) == 0) {
      gone.client->close();
    } else {
      gone.client->frame(WebSocketOpcode::close, {});
    }
    std::swap(gone, model_.subscribers.back());
    model_.subscribers.pop_back();
    add_client();
  }
  Model::Subscriber& anybody() {
    return model_.subscribers[pick(static_cast<std::uint32_t>(model_.subscribers.size()))];
  }

  void subscribe() {
    Model::Subscriber& who = anybody();
    const std::string what = pattern();
    const std::string queue = pick(2) == 0 ? "shared" : world_.random.id();
    const Value answer = who.client->subscribe(what, queue);
    const bool is_new = who.queues.emplace(what, queue).second;
    CHECK(answer.find("status")->text_or("") == (is_new ? "added" : "already-added"));
  }
  void unsubscribe() {
    Model::Subscriber& who = anybody();
    std::string what = pattern();
    if (!who.queues.empty() && pick(4) != 0) {
      auto place = who.queues.begin();
      std::advance(place, pick(static_cast<std::uint32_t>(who.queues.size())));
      what = place->first;
    }
    who.queues.erase(what);
    CHECK(who.client->ask("unsubscribe", {Value(Value::Map{{"subject", Value(what)}})}).is_null());
  }

  void publish() {
    const std::string to = subject();
    const std::string id = world_.random.id();
    const std::uint64_t chunks = pick(4) == 0 ? 2 + pick(3) : 1;
    const auto groups = model_.groups(to);
    std::int64_t counted = 0;
    for (const auto& [group, members] : groups) counted += group.first == ">" ? 0 : 1;
    TestClient& from = *anybody().client;
    for (std::uint64_t sequence = 0; sequence < chunks; ++sequence) {
      const Value answer = from.publish(to, id, sequence, sequence + 1 == chunks);
      CHECK(answer.find("count")->integer_or(-1) == counted);
    }
    // Each group's message, all of its chunks, went to exactly one of its members.
    std::map<std::pair<std::string, std::string>, std::size_t> got;
    for (std::size_t i = 0; i < model_.subscribers.size(); ++i) {
      std::map<std::string, std::uint64_t> lines;
      for (const std::string& line : model_.subscribers[i].client->take_deliveries()) ++lines[line];
      for (const auto& [line, times] : lines) {
        const std::string name = line.substr(0, line.find(' '));
        CHECK(line == name + " " + to + " " + id);
        CHECK(times == chunks);
        const auto queue = model_.subscribers[i].queues.find(name);
        REQUIRE(queue != model_.subscribers[i].queues.end());
        CHECK(got.emplace(std::pair{name, queue->second}, i).second);
      }
    }
    CHECK(got.size() == groups.size());
    const Value interest = from.ask(
        "wait-for-interest", {Value(Value::Map{{"subject", Value(to)}, {"timeout", Value(0)}})});
    CHECK(interest == Value(counted > 0));
  }

  void check_lists() {
    std::size_t total = 0;
    for (auto& subscriber : model_.subscribers) {
      const Value answer = subscriber.client->ask("subscriptions", {Value()});
      std::set<std::string> listed;
      for (const Value& item : *answer.if_array()) listed.insert(*item.if_text());
      std::set<std::string> expected;
      for (const auto& [name, queue] : subscriber.queues) expected.insert(name);
      CHECK(listed == expected);
      total += expected.size();
    }
    std::uint64_t counted = 0;
    for (ShardIndex shard = 0; shard < shards_; ++shard) {
      counted += world_.broker(shard).counters().subscriptions;
    }
    CHECK(counted == total);
  }

  World world_;
  ShardIndex shards_;
  Model model_;
};

}  // namespace

TEST_CASE("brokers route as the model says", "[property][broker]") {
  const auto shards = GENERATE(ShardIndex{1}, ShardIndex{2}, ShardIndex{3});
  const auto seed = GENERATE(range(1u, 4u));
  CAPTURE(shards, seed);
  Run run(shards, seed);
  for (int i = 0; i < 500; ++i) run.step();
  run.finish();
}

// Subscriptions and publishes on all shards while mail is under way: once it is quiet, every shard
// routes by what is really there.
TEST_CASE("shards agree once their mail is delivered", "[property][broker]") {
  const auto seed = GENERATE(range(1u, 11u));
  BrokerOptions options;
  options.shard_count = 3;
  World world(options, seed);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (ShardIndex shard = 0; shard < 3; ++shard) {
    for (int i = 0; i < 3; ++i) {
      clients.push_back(world.client(PacketEncoding::msgpack, shard));
      clients.back()->connect();
    }
  }
  world.deliver_mail_at_once = false;
  std::set<std::pair<std::size_t, std::string>> subscribed;
  for (int step = 0; step < 300; ++step) {
    const std::size_t who = world.random.below(static_cast<std::uint32_t>(clients.size()));
    const std::string what = "s." + std::to_string(world.random.below(4));
    const Value request(Value::Map{{"subject", Value(what)}, {"queue", Value("q")}});
    const std::uint32_t dice = world.random.below(4);
    if (dice == 0) {
      clients[who]->emit("subscribe", {request});
      subscribed.insert({who, what});
    } else if (dice == 1) {
      clients[who]->emit("unsubscribe", {request});
      subscribed.erase({who, what});
    } else if (dice == 2) {
      clients[who]->publish(what);
    } else {
      world.deliver_mail();
    }
  }
  while (world.deliver_mail()) {
  }
  for (const auto& client : clients) client->take_packets();
  for (int i = 0; i < 4; ++i) {
    const std::string what = "s." + std::to_string(i);
    std::size_t members = 0;
    for (std::size_t who = 0; who < clients.size(); ++who) members += subscribed.count({who, what});
    for (const auto& publisher : clients) {
      const Value answer = publisher->publish(what);
      CHECK(answer.find("count")->integer_or(-1) == (members > 0 ? 1 : 0));
      while (world.deliver_mail()) {
      }
      std::size_t deliveries = 0;
      for (std::size_t who = 0; who < clients.size(); ++who) {
        const std::size_t got = clients[who]->take_deliveries().size();
        if (got > 0) CHECK(subscribed.count({who, what}) == 1);
        deliveries += got;
      }
      CHECK(deliveries == (members > 0 ? 1 : 0));
    }
  }
}
