#include "broker/metrics.hpp"

namespace conat::server {
namespace {

struct Metric {
  const char* name;
  const char* type;
  const char* help;
  std::uint64_t (*value)(const ShardMetrics&);
};

constexpr Metric all_metrics[] = {
    {"conat_connections_opened_total", "counter", "WebSocket connections since the start",
     [](const ShardMetrics& m) { return m.broker.connections_opened; }},
    {"conat_connections", "gauge", "WebSocket connections now",
     [](const ShardMetrics& m) { return m.broker.connections_open; }},
    {"conat_messages_received_total", "counter", "Publishes",
     [](const ShardMetrics& m) { return m.broker.messages_received; }},
    {"conat_message_bytes_received_total", "counter", "Bytes of what was published",
     [](const ShardMetrics& m) { return m.broker.bytes_received; }},
    {"conat_deliveries_total", "counter", "Messages sent to subscribers",
     [](const ShardMetrics& m) { return m.broker.deliveries; }},
    {"conat_subscriptions", "gauge", "Subscriptions now",
     [](const ShardMetrics& m) { return m.broker.subscriptions; }},
    {"conat_malformed_events_total", "counter", "Events that were ignored or refused",
     [](const ShardMetrics& m) { return m.broker.malformed_events; }},
    {"conat_malformed_packets_total", "counter", "Packets that closed their connection",
     [](const ShardMetrics& m) { return m.broker.malformed_packets; }},
    {"conat_slow_consumers_total", "counter", "Connections closed for reading too slowly",
     [](const ShardMetrics& m) { return m.broker.slow_consumers; }},
    {"conat_keep_alive_closes_total", "counter", "Connections closed for not answering pings",
     [](const ShardMetrics& m) { return m.broker.keep_alive_closes; }},
    {"conat_match_cache_hits_total", "counter", "Publishes whose targets were known",
     [](const ShardMetrics& m) { return m.broker.match_cache_hits; }},
    {"conat_match_cache_misses_total", "counter", "Publishes whose targets were looked up",
     [](const ShardMetrics& m) { return m.broker.match_cache_misses; }},
    {"conat_network_read_bytes_total", "counter", "Bytes read from sockets",
     [](const ShardMetrics& m) { return m.loop.bytes_read; }},
    {"conat_network_written_bytes_total", "counter", "Bytes written to sockets",
     [](const ShardMetrics& m) { return m.loop.bytes_written; }},
    {"conat_network_reads_total", "counter", "Reads from sockets",
     [](const ShardMetrics& m) { return m.loop.reads; }},
    {"conat_network_writes_total", "counter", "Writes to sockets",
     [](const ShardMetrics& m) { return m.loop.writes; }},
    {"conat_sockets_accepted_total", "counter", "TCP connections accepted",
     [](const ShardMetrics& m) { return m.accepted; }},
    {"conat_sockets_refused_total", "counter", "TCP connections refused for want of descriptors",
     [](const ShardMetrics& m) { return m.refused; }},
    {"conat_sockets_dropped_total", "counter",
     "TCP connections dropped because their address opened too many",
     [](const ShardMetrics& m) { return m.dropped_by_rate; }},
    {"conat_handshakes_refused_total", "counter",
     "WebSocket handshakes refused because their address opened too many",
     [](const ShardMetrics& m) { return m.refused_by_rate; }},
    {"conat_rate_pauses_total", "counter", "Times a connection had to wait for its rate limit",
     [](const ShardMetrics& m) { return m.broker.rate_pauses; }},
    {"conat_http_requests_total", "counter", "HTTP requests, handshakes included",
     [](const ShardMetrics& m) { return m.http_requests; }},
    {"conat_http_timeouts_total", "counter", "HTTP connections closed for being silent or slow",
     [](const ShardMetrics& m) { return m.http_timeouts; }},
    {"conat_http_connections", "gauge", "TCP connections that are no WebSocket (yet)",
     [](const ShardMetrics& m) { return m.http_connections; }},
    {"conat_shard_holds_total", "counter", "Times a shard waited for a sibling",
     [](const ShardMetrics& m) { return m.holds; }},
};

}  // namespace

std::string format_metrics(std::span<const ShardMetrics> shards) {
  std::string text;
  for (const auto& metric : all_metrics) {
    const std::string name = metric.name;
    text += "# HELP " + name + " " + metric.help + "\n# TYPE " + name + " " + metric.type + "\n";
    for (std::size_t i = 0; i < shards.size(); ++i) {
      text += name + "{shard=\"" + std::to_string(i) + "\"} " +
              std::to_string(metric.value(shards[i])) + "\n";
    }
  }
  return text;
}

}  // namespace conat::server
