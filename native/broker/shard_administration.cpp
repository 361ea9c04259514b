// What a shard tells of itself and the others: metrics, connections, log lines.
#include <iterator>
#include <mutex>

#include "broker/shard.hpp"
#include "conat/wire/codec.hpp"

namespace conat::server {

// ---- the log ----

// A slow consumer is what an operator has to know of; the other ends are for those who look for
// something.
void Shard::log_close(const effect::Close& closing) {
  const bool slow = closing.reason == CloseReason::slow_consumer;
  const LogLevel level = slow ? LogLevel::warning : LogLevel::debug;
  if (!log_enabled(level)) return;
  std::uint64_t left_out = 0;
  if (slow && !common_.slow_consumer_lines.pass(net::Loop::now(), left_out)) return;
  const CloseDetails& details = *closing.details;
  const std::string user = encode_json(details.user);
  if (slow) {
    log_line(level, "slow consumer disconnected",
             {{"connection", details.sid},
              LogField::json("user", user),
              {"address", details.address},
              {"subject", details.subject},
              {"queued_bytes", details.queued_bytes},
              {"left_out", left_out}});
  } else {
    log_line(level, "connection closed",
             {{"connection", details.sid},
              LogField::json("user", user),
              {"address", details.address},
              {"reason", close_reason_text(closing.reason)}});
  }
}

// Whose sign-in was refused is not known, unless it was for a limit.
void Shard::log_refusal(LogLevel level, std::string_view message, const std::string& address,
                        const Value& user, const Value& refusal) {
  std::uint64_t left_out = 0;
  if (!log_enabled(level) || !common_.refusal_lines.pass(net::Loop::now(), left_out)) return;
  const std::string who = encode_json(user);
  const Value* error = refusal.find("error");
  log_line(level, message,
           {LogField::json("user", who),
            {"address", address},
            {"error", error == nullptr ? std::string_view{} : error->text_or({})},
            {"left_out", left_out}});
}

// ---- what concerns all shards ----

template <class Answer>
void Shard::ask_all_shards(std::function<Answer(Shard&)> ask,
                           std::function<void(std::vector<Answer>)> done) {
  struct Collection {
    std::mutex mutex;
    std::vector<Answer> answers;
    std::size_t missing;
    std::function<Answer(Shard&)> ask;
    std::function<void(std::vector<Answer>)> done;
  };
  auto collection = std::make_shared<Collection>();
  collection->answers.resize(common_.shards.size());
  collection->missing = common_.shards.size();
  collection->ask = std::move(ask);
  collection->done = std::move(done);
  for (const auto& shard : common_.shards) {
    shard->post([this, collection, &shard = *shard] {
      Answer answer = collection->ask(shard);
      const std::lock_guard lock(collection->mutex);
      collection->answers[shard.index_] = std::move(answer);
      if (--collection->missing > 0) return;
      post([collection] { collection->done(std::move(collection->answers)); });
    });
  }
}

void Shard::describe_connections(std::function<void(std::vector<ConnectionDescription>)> done) {
  using Descriptions = std::vector<ConnectionDescription>;
  ask_all_shards<Descriptions>([](Shard& shard) { return shard.broker_->describe_connections(); },
                               [this, done = std::move(done)](std::vector<Descriptions> of_shards) {
                                 Descriptions all;
                                 for (Descriptions& each : of_shards) {
                                   std::move(each.begin(), each.end(), std::back_inserter(all));
                                 }
                                 done(std::move(all));
                                 loop_.request_turn_end();
                               });
}

void Shard::disconnect(std::vector<std::string> sids, std::function<void()> done) {
  ask_all_shards<std::size_t>(
      [sids = std::move(sids)](Shard& shard) {
        const std::size_t count = shard.broker_->disconnect(net::Loop::now(), sids);
        shard.drain_broker();
        shard.loop_.request_turn_end();
        return count;
      },
      [this, done = std::move(done)](const std::vector<std::size_t>& counts) {
        std::size_t all = 0;
        for (const std::size_t count : counts) all += count;
        log_line(LogLevel::info, "connections closed by the system service", {{"count", all}});
        done();
        loop_.request_turn_end();
      });
}

ShardMetrics Shard::metrics() const {
  ShardMetrics metrics;
  metrics.broker = broker_->counters();
  metrics.queue_bytes = broker_->queued_bytes();
  metrics.loop = loop_.counters();
  metrics.accepted = listener_.accepted();
  metrics.refused = listener_.refused();
  metrics.http_requests = http_.requests();
  metrics.http_timeouts = http_.timeouts();
  metrics.http_connections = http_.connections();
  metrics.holds = holds_;
  metrics.dropped_by_rate = dropped_by_rate_;
  metrics.refused_by_rate = refused_by_rate_;
  metrics.over_limit = over_limit_;
  metrics.sign_ins = sign_in_counters_;
  return metrics;
}

void Shard::collect_metrics(std::function<void(std::string)> done) {
  struct Answer {
    ShardMetrics shard;
    std::optional<PersistStatistics> persist;
    std::optional<storage::StorageStatistics> storage;
  };
  ask_all_shards<Answer>(
      [](Shard& shard) {
        Answer answer{shard.metrics(), {}, {}};
        if (shard.persistence_) {
          answer.persist = shard.persistence_->statistics();
          answer.storage = shard.persistence_->storage_statistics();
        }
        return answer;
      },
      [this, done = std::move(done)](std::vector<Answer> answers) {
        Metrics metrics;
        metrics.version = CONAT_VERSION;
        metrics.broker_id = common_.options.id;
        for (Answer& answer : answers) {
          metrics.shards.push_back(answer.shard);
          if (answer.persist) metrics.persist = answer.persist;
          if (answer.storage) metrics.storage = answer.storage;
        }
        metrics.usage = common_.admission.usage();
        metrics.auth_service = common_.authenticator->service_counters();
        metrics.process = read_process_metrics();
        if (!common_.links) return done(format_metrics(metrics));
        common_.links->collect_metrics([this, metrics, done](const LinkMetrics& links) mutable {
          metrics.links = links;
          post([metrics = std::move(metrics), done] { done(format_metrics(metrics)); });
        });
      });
}

}  // namespace conat::server
