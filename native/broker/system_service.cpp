#include "broker/system_service.hpp"

#include <chrono>
#include <cstdlib>
#include <map>
#include <utility>

#include "broker/clock.hpp"
#include "net/loop.hpp"

namespace conat::server {
namespace {

constexpr std::size_t own_subject = 1;  // the other is that of all brokers
// Connections that one call may name.
constexpr std::size_t max_ids = 100'000;

std::vector<ServiceSubject> subjects_of(const SystemServiceOptions& options) {
  const std::string all = "sys.conat." + options.cluster_name;
  // Each broker is a queue group of its own, so that all of them answer.
  return {{all, options.id}, {all + "." + options.id, options.id}};
}

Value traffic_value(const TrafficCount& count) {
  return Value::Map{{"messages", count.messages}, {"bytes", count.bytes}};
}

Value connection_value(const ConnectionDescription& connection) {
  return Value::Map{{"user", connection.user},
                    {"send", traffic_value(connection.sent)},
                    {"recv", traffic_value(connection.received)},
                    {"subs", static_cast<std::uint64_t>(connection.subscriptions)},
                    {"connected", unix_time_of(connection.connected_at)},
                    {"active", unix_time_of(connection.active_at)},
                    {"address", connection.address}};
}

Error wrong_service() { return Error(ErrorCode{}, "Error: wrong service"); }

bool is_cluster_call(const std::string& name) {
  return name == "clusterAddresses" || name == "clusterTopology" || name == "join" ||
         name == "unjoin";
}

// One id, or an array of them.
Result<std::vector<std::string>> ids_of(const Value::Array& arguments) {
  const Error wrong(ErrorKind::bad_request, "ids must be a connection's id or an array of them");
  if (arguments.empty()) return wrong;
  std::vector<std::string> ids;
  if (const std::string* id = arguments.front().if_text()) {
    ids.push_back(*id);
    return ids;
  }
  const Value::Array* items = arguments.front().if_array();
  if (items == nullptr || items->size() > max_ids) return wrong;
  for (const Value& item : *items) {
    if (item.if_text() == nullptr) return wrong;
    ids.push_back(*item.if_text());
  }
  return ids;
}

}  // namespace

SystemService::SystemService(Broker& broker, const Admission& admission,
                             SystemServiceOptions options, Hooks hooks, Random random)
    : InProcessClient(broker),
      admission_(admission),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      host_(subjects_of(options_), client_options(), std::move(random)) {}

void SystemService::start(TimeMs now) {
  wake();
  host_.start(now);
}

void SystemService::on_time(TimeMs now) {
  wake();
  host_.on_time(now);
}

bool SystemService::carry_out_effects(TimeMs now) {
  bool any = false;
  ServiceHostEffect effect;
  while (host_.next(now, effect)) {
    any = true;
    if (auto* transport = std::get_if<ClientEffect>(&effect)) {
      carry_out_transport(now, *transport);
    } else {
      on_call(now, *std::get_if<ServiceCall>(&effect));
    }
  }
  return any;
}

void SystemService::on_call(TimeMs now, const ServiceCall& call) {
  if (call.name == "stats") {
    stats_calls_.push_back(call.id);
    ask_shards();
  } else if (call.name == "disconnect") {
    Result<std::vector<std::string>> ids = ids_of(call.arguments);
    if (!ids) return host_.answer(now, call.id, ids.error());
    disconnects_.push_back({call.id, std::move(*ids)});
    ask_shards();
  } else if (call.name == "usage") {
    host_.answer(now, call.id, usage());
  } else if (is_cluster_call(call.name)) {
    on_cluster_call(now, call);
  } else {
    host_.answer(now, call.id, Error(ErrorCode{}, "Error: " + call.name + " not defined"));
  }
}

void SystemService::on_cluster_call(TimeMs now, const ServiceCall& call) {
  if (call.subject != own_subject) return host_.answer(now, call.id, wrong_service());
  if (call.name == "join") return join(now, call);
  if (call.name == "unjoin") return unjoin(now, call);
  host_.answer(now, call.id, call.name == "clusterTopology" ? topology() : addresses(call));
}

SystemService::Done SystemService::answer_later(std::uint64_t call) {
  return [this, call](const Status& status) {
    wake();
    host_.answer(net::Loop::now(), call,
                 status.ok() ? Result<Value>(Value()) : Result<Value>(status.error()));
  };
}

void SystemService::join(TimeMs now, const ServiceCall& call) {
  const std::string* address = call.arguments.empty() ? nullptr : call.arguments.front().if_text();
  if (address == nullptr || address->empty()) {
    return host_.answer(now, call.id,
                        Error(ErrorKind::bad_request, "join takes a broker's address"));
  }
  hooks_.join(*address, answer_later(call.id));
}

void SystemService::unjoin(TimeMs now, const ServiceCall& call) {
  const Value* broker = call.arguments.empty() ? nullptr : &call.arguments.front();
  const Value* id = broker == nullptr ? nullptr : broker->find("id");
  const Value* cluster = broker == nullptr ? nullptr : broker->find("clusterName");
  const bool usual = cluster == nullptr || cluster->is_null();
  if (id == nullptr || id->if_text() == nullptr || (!usual && cluster->if_text() == nullptr)) {
    return host_.answer(now, call.id,
                        Error(ErrorKind::bad_request, "unjoin takes {id, clusterName?}"));
  }
  hooks_.unjoin(usual ? options_.cluster_name : *cluster->if_text(), *id->if_text(),
                answer_later(call.id));
}

// This broker first, if it is in that cluster.
Value SystemService::addresses(const ServiceCall& call) const {
  const Value* given = call.arguments.empty() ? nullptr : &call.arguments.front();
  const bool usual = given == nullptr || given->is_null();
  const std::string cluster(usual ? std::string_view(options_.cluster_name) : given->text_or({}));
  Value::Array addresses;
  if (cluster == options_.cluster_name) addresses.emplace_back(options_.address);
  for (const JoinedBroker& broker : hooks_.joined()) {
    if (broker.cluster == cluster) addresses.emplace_back(broker.address);
  }
  return addresses;
}

Value SystemService::topology() const {
  std::map<std::string, Value::Map> clusters;
  clusters[options_.cluster_name].emplace_back(options_.id, Value(options_.address));
  for (const JoinedBroker& broker : hooks_.joined()) {
    clusters[broker.cluster].emplace_back(broker.id, Value(broker.address));
  }
  Value::Map topology;
  for (auto& [cluster, brokers] : clusters) {
    topology.emplace_back(cluster, Value(std::move(brokers)));
  }
  return topology;
}

Value SystemService::usage() const {
  const Admission::Usage usage = admission_.usage();
  Value::Map per_user;
  per_user.reserve(usage.per_user.size());
  for (const auto& [user, count] : usage.per_user) {
    per_user.emplace_back(user, static_cast<std::uint64_t>(count));
  }
  return Value::Map{{options_.id, Value::Map{{"total", static_cast<std::uint64_t>(usage.total)},
                                             {"perUser", std::move(per_user)}}}};
}

// A call of `stats` never joins a round that has begun before it: its caller wants to see what it
// has done.
void SystemService::ask_shards() {
  if (asking_) return;
  if (!disconnects_.empty()) {
    asking_ = true;
    Disconnect next = std::move(disconnects_.front());
    disconnects_.pop_front();
    hooks_.disconnect(std::move(next.ids), [this, call = next.call] {
      asking_ = false;
      wake();
      host_.answer(net::Loop::now(), call, Value());
      ask_shards();
    });
  } else if (!stats_calls_.empty()) {
    asking_ = true;
    hooks_.describe([this, calls = std::exchange(stats_calls_, {})](
                        const std::vector<ConnectionDescription>& connections) {
      asking_ = false;
      wake();
      answer_stats(calls, connections);
      ask_shards();
    });
  }
}

void SystemService::answer_stats(const std::vector<std::uint64_t>& calls,
                                 const std::vector<ConnectionDescription>& connections) {
  Value::Map by_id;
  by_id.reserve(connections.size());
  for (const auto& connection : connections) {
    by_id.emplace_back(connection.sid, connection_value(connection));
  }
  const Value stats(Value::Map{{options_.id, Value(std::move(by_id))}});
  for (const std::uint64_t call : calls) host_.answer(net::Loop::now(), call, stats);
}

}  // namespace conat::server
