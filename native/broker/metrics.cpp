#include "broker/metrics.hpp"

#include "broker/prometheus_text.hpp"

namespace conat::server {
namespace {

struct ShardFamily {
  const char* name;
  MetricType type;
  const char* help;
  std::uint64_t (*value)(const ShardMetrics&);
};

constexpr MetricType counter = MetricType::counter;
constexpr MetricType gauge = MetricType::gauge;

constexpr ShardFamily shard_families[] = {
    {"conat_connections", gauge, "WebSocket connections now, the broker's own clients included",
     [](const ShardMetrics& m) { return m.broker.connections_open; }},
    {"conat_connections_opened_total", counter, "WebSocket connections opened",
     [](const ShardMetrics& m) { return m.broker.connections_opened; }},
    {"conat_connections_over_limit_total", counter,
     "Connections refused because of a limit on connections, in total or of one user",
     [](const ShardMetrics& m) { return m.over_limit; }},
    {"conat_messages_received_total", counter, "Publishes received; each chunk is one",
     [](const ShardMetrics& m) { return m.broker.messages_received; }},
    {"conat_message_bytes_received_total", counter, "Bytes of what was published",
     [](const ShardMetrics& m) { return m.broker.bytes_received; }},
    {"conat_deliveries_total", counter, "Messages queued for subscribers",
     [](const ShardMetrics& m) { return m.broker.deliveries; }},
    {"conat_delivery_bytes_total", counter, "Bytes of what was queued for subscribers",
     [](const ShardMetrics& m) { return m.broker.bytes_delivered; }},
    {"conat_subscriptions", gauge, "Subscriptions now",
     [](const ShardMetrics& m) { return m.broker.subscriptions; }},
    {"conat_queue_bytes", gauge, "Bytes that wait to be read by subscribers",
     [](const ShardMetrics& m) { return m.queue_bytes; }},
    {"conat_permission_errors_total", counter, "Publishes and subscriptions that were not allowed",
     [](const ShardMetrics& m) { return m.broker.permission_errors; }},
    {"conat_expired_identities_total", counter, "Connections closed because their user had expired",
     [](const ShardMetrics& m) { return m.broker.expired_users; }},
    {"conat_malformed_events_total", counter, "Events that were ignored or refused",
     [](const ShardMetrics& m) { return m.broker.malformed_events; }},
    {"conat_malformed_packets_total", counter, "Packets that closed their connection",
     [](const ShardMetrics& m) { return m.broker.malformed_packets; }},
    {"conat_slow_consumers_total", counter, "Connections closed for reading too slowly",
     [](const ShardMetrics& m) { return m.broker.slow_consumers; }},
    {"conat_keep_alive_closes_total", counter, "Connections closed for not answering pings",
     [](const ShardMetrics& m) { return m.broker.keep_alive_closes; }},
    {"conat_reading_pauses_total", counter,
     "Times a publisher was not read from for a while, because its readers were behind",
     [](const ShardMetrics& m) { return m.broker.reading_pauses; }},
    {"conat_match_cache_hits_total", counter, "Publishes whose targets were known",
     [](const ShardMetrics& m) { return m.broker.match_cache_hits; }},
    {"conat_match_cache_misses_total", counter, "Publishes whose targets were looked up",
     [](const ShardMetrics& m) { return m.broker.match_cache_misses; }},
    {"conat_network_read_bytes_total", counter, "Bytes read from sockets",
     [](const ShardMetrics& m) { return m.loop.bytes_read; }},
    {"conat_network_written_bytes_total", counter, "Bytes written to sockets",
     [](const ShardMetrics& m) { return m.loop.bytes_written; }},
    {"conat_network_reads_total", counter, "Reads from sockets",
     [](const ShardMetrics& m) { return m.loop.reads; }},
    {"conat_network_writes_total", counter, "Writes to sockets",
     [](const ShardMetrics& m) { return m.loop.writes; }},
    {"conat_sockets_accepted_total", counter, "TCP connections accepted",
     [](const ShardMetrics& m) { return m.accepted; }},
    {"conat_sockets_refused_total", counter, "TCP connections refused for want of descriptors",
     [](const ShardMetrics& m) { return m.refused; }},
    {"conat_sockets_dropped_total", counter,
     "TCP connections dropped because their address opened too many",
     [](const ShardMetrics& m) { return m.dropped_by_rate; }},
    {"conat_handshakes_refused_total", counter,
     "WebSocket handshakes refused because their address opened too many",
     [](const ShardMetrics& m) { return m.refused_by_rate; }},
    {"conat_rate_pauses_total", counter, "Times a connection had to wait for its rate limit",
     [](const ShardMetrics& m) { return m.broker.rate_pauses; }},
    {"conat_http_requests_total", counter, "HTTP requests, handshakes included",
     [](const ShardMetrics& m) { return m.http_requests; }},
    {"conat_http_timeouts_total", counter, "HTTP connections closed for being silent or slow",
     [](const ShardMetrics& m) { return m.http_timeouts; }},
    {"conat_http_connections", gauge, "TCP connections that are no WebSocket (yet)",
     [](const ShardMetrics& m) { return m.http_connections; }},
    {"conat_shard_holds_total", counter, "Times a shard waited for a sibling",
     [](const ShardMetrics& m) { return m.holds; }},
    {"conat_joined_by", gauge, "Connections of brokers that have joined this one now",
     [](const ShardMetrics& m) { return m.broker.joined_by; }},
    {"conat_forwards_received_total", counter, "Publishes that such brokers passed on",
     [](const ShardMetrics& m) { return m.broker.forwards_received; }},
    {"conat_late_confirmations_total", counter,
     "Times such a broker was slow to confirm interest, and was not waited for",
     [](const ShardMetrics& m) { return m.broker.late_confirmations; }},
};

void add_sign_ins(PrometheusText& out, const std::string& shard,
                  const std::array<std::uint64_t, sign_in_method_count>& counts) {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const char* method = sign_in_method_text(static_cast<SignInMethod>(i));
    out.sample({{"shard", shard}, {"method", method}}, counts[i]);
  }
}

void add_shards(PrometheusText& out, const Metrics& metrics) {
  const auto for_each_shard = [&](auto&& visit) {
    for (std::size_t i = 0; i < metrics.shards.size(); ++i) {
      visit(std::to_string(i), metrics.shards[i]);
    }
  };
  for (const ShardFamily& family : shard_families) {
    out.family(family.name, family.type, family.help);
    for_each_shard([&](const std::string& index, const ShardMetrics& shard) {
      out.sample({{"shard", index}}, family.value(shard));
    });
  }
  out.family("conat_connections_closed_total", counter, "WebSocket connections closed");
  for_each_shard([&](const std::string& index, const ShardMetrics& shard) {
    for (std::size_t i = 0; i < close_reason_count; ++i) {
      const char* reason = close_reason_text(static_cast<CloseReason>(i));
      out.sample({{"shard", index}, {"reason", reason}}, shard.broker.closes[i]);
    }
  });
  out.family("conat_sign_ins_total", counter, "Authentications that succeeded, renewals included");
  for_each_shard([&](const std::string& index, const ShardMetrics& shard) {
    add_sign_ins(out, index, shard.sign_ins.accepted);
  });
  out.family("conat_auth_failures_total", counter, "Authentications that failed");
  for_each_shard([&](const std::string& index, const ShardMetrics& shard) {
    add_sign_ins(out, index, shard.sign_ins.refused);
  });
  out.family("conat_drops_total", counter, "Deliveries that were dropped");
  for_each_shard([&](const std::string& index, const ShardMetrics& shard) {
    out.sample({{"shard", index}, {"reason", "not-convertible"}}, shard.broker.drops_unconvertible);
    out.sample({{"shard", index}, {"reason", "subscriber-gone"}}, shard.broker.drops_gone);
  });
  out.family("conat_dropped_queue_bytes_total", counter,
             "Bytes that still waited for a connection when it was closed");
  for_each_shard([&](const std::string& index, const ShardMetrics& shard) {
    out.sample({{"shard", index}, {"reason", "slow-consumer"}},
               shard.broker.dropped_bytes_slow_consumer);
    out.sample({{"shard", index}, {"reason", "connection-closed"}},
               shard.broker.dropped_bytes_closed);
  });
}

void add_users(PrometheusText& out, const Admission::Usage& usage) {
  out.single("conat_signed_in_connections", gauge, "Connections counted for the limits now",
             static_cast<std::uint64_t>(usage.total));
  out.single("conat_users", gauge, "Different users that are connected now",
             static_cast<std::uint64_t>(usage.per_user.size()));
}

void add_auth_service(PrometheusText& out, const auth::HttpCallbackCounters& service) {
  out.single("conat_auth_service_questions_total", counter,
             "Authentications that were the service's to decide", service.asked);
  out.single("conat_auth_service_requests_total", counter, "Requests sent to the service",
             service.sent);
  out.single("conat_auth_service_cache_hits_total", counter,
             "Authentications that a remembered answer of the service decided", service.cached);
  out.family("conat_auth_service_failures_total", counter,
             "Authentications that ended with code 503, since the service did not decide");
  for (std::size_t i = 0; i < service.failed.size(); ++i) {
    const auto why = static_cast<auth::HttpCallbackFailure>(i);
    out.sample({{"reason", auth::http_callback_failure_text(why)}}, service.failed[i]);
  }
}

void add_links(PrometheusText& out, const LinkMetrics& links) {
  const LinkCounters& counters = links.counters;
  out.single("conat_links_up", gauge, "Joined brokers that are linked with now", links.up);
  out.single("conat_link_losses_total", counter, "Times a link to a joined broker was lost",
             counters.downs);
  out.single("conat_link_groups", gauge, "Queue groups of joined brokers which are known",
             links.groups);
  out.single("conat_link_forwards_total", counter, "Publishes passed on to joined brokers",
             counters.forwarded);
  out.single("conat_link_forwarded_bytes_total", counter, "Bytes of these",
             counters.forwarded_bytes);
  out.single("conat_link_drops_total", counter, "Publishes for joined brokers that were dropped",
             counters.dropped);
  out.single("conat_link_queue_bytes", gauge, "What waits for joined brokers", links.unsent_bytes);
}

void add_persistence(PrometheusText& out, const PersistStatistics& persist) {
  out.family("conat_persist_requests_total", counter, "Requests to the persistence server");
  for (std::size_t i = 0; i < persist.requests.size(); ++i) {
    out.sample({{"command", PersistStatistics::commands[i]}}, persist.requests[i]);
  }
  out.single("conat_persist_failed_requests_total", counter, "Requests answered with an error",
             persist.failed);
  out.single("conat_persist_sockets", gauge, "Sockets to the persistence server now",
             static_cast<std::uint64_t>(persist.sockets));
}

void add_storage(PrometheusText& out, const storage::StorageStatistics& storage) {
  out.single("conat_storage_streams_open", gauge, "Streams whose store is open now",
             storage.open_streams);
  out.single("conat_storage_groups_total", counter, "Groups of requests carried out together",
             storage.groups);
  out.single("conat_storage_requests_total", counter, "Requests carried out by the storage",
             storage.requests);
  out.single("conat_storage_refused_requests_total", counter,
             "Requests turned away because too much was waiting", storage.refused);
  out.single("conat_storage_queue_bytes", gauge, "Bytes of requests that wait for the storage",
             storage.queued_bytes);
  std::uint64_t commits = 0;
  for (const std::uint64_t count : storage.commit_counts) commits += count;
  out.single("conat_storage_commits_total", counter, "Transactions that changed something",
             commits);
  out.family("conat_storage_commit_duration_seconds", MetricType::histogram,
             "From the beginning of such a transaction until it is as durable as asked for");
  out.histogram(storage::StorageStatistics::commit_bounds, storage.commit_counts,
                storage.commit_seconds);
}

void add_process(PrometheusText& out, const ProcessMetrics& process) {
  out.single("process_resident_memory_bytes", gauge, "Resident memory", process.resident_bytes);
  out.single("process_virtual_memory_bytes", gauge, "Virtual memory", process.virtual_bytes);
  out.single("process_cpu_seconds_total", counter, "User and system CPU time", process.cpu_seconds);
  out.single("process_start_time_seconds", gauge, "Start of the process, in seconds since 1970",
             process.start_time_seconds);
  out.single("process_open_fds", gauge, "Open file descriptors", process.open_descriptors);
  out.single("process_max_fds", gauge, "Most file descriptors that may be open",
             process.max_descriptors);
  out.single("process_threads", gauge, "Threads", process.threads);
}

}  // namespace

std::string format_metrics(const Metrics& metrics) {
  PrometheusText out;
  out.family("conat_build_info", gauge, "Always 1; the labels tell what runs");
  out.sample({{"version", metrics.version}, {"id", metrics.broker_id}}, std::uint64_t{1});
  add_shards(out, metrics);
  add_users(out, metrics.usage);
  add_auth_service(out, metrics.auth_service);
  add_links(out, metrics.links);
  if (metrics.persist) add_persistence(out, *metrics.persist);
  if (metrics.storage) add_storage(out, *metrics.storage);
  add_process(out, metrics.process);
  return out.text();
}

}  // namespace conat::server
