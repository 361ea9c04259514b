#include "conat/fabric/persist_host.hpp"

#include <algorithm>
#include <deque>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "conat/socket/sockets.hpp"

namespace conat {
namespace {

// The host's own calls to its client.
constexpr Owner kWho{Layer::service, 1};       // "who serves this scope"
constexpr Owner kListener{Layer::service, 2};  // sockets

std::string second_token(std::string_view subject) {
  const std::size_t first = subject.find('.');
  if (first == std::string_view::npos) return {};
  const std::size_t second = subject.find('.', first + 1);
  return std::string(subject.substr(first + 1, second - first - 1));
}

}  // namespace

class PersistHost::Impl {
 public:
  Impl(PersistServerOptions options, ClientOptions client_options, Random random)
      : options_(options),
        client_(std::move(client_options), random.fork()),
        sockets_(client_, random.fork()),
        server_(std::move(options)) {}

  void start(TimeMs now) {
    client_.connect(now);
    listen(now);
  }
  bool ready() const {
    return client_.signed_in() && answers_who_ &&
           sockets_.server_state(listener_) == SocketState::ready;
  }
  Client& client() { return client_; }
  void on_storage(TimeMs now, StorageResult result) { server_.on_storage(now, std::move(result)); }
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(TimeMs now, PersistHostEffect& effect);
  PersistStatistics statistics() const {
    PersistStatistics statistics = statistics_;
    statistics.sockets = connected_.size();
    return statistics;
  }

 private:
  void listen(TimeMs now);

  // Each returns true when the effect is for the shell.
  bool route(TimeMs now, ClientEffect& effect);
  bool route(TimeMs now, PersistEffect& effect);

  void handle(TimeMs now, client_effect::SubscribeDone& effect);
  void handle(TimeMs now, client_effect::SubscriptionEnded& effect);
  void handle(TimeMs now, client_effect::MessageArrived& effect);
  template <class Effect>
  void handle(TimeMs, Effect&) {}

  void handle(TimeMs now, socket_effect::Connected& effect);
  void handle(TimeMs now, socket_effect::StateChanged& effect);
  void handle(TimeMs now, socket_effect::Data& effect);
  void handle(TimeMs now, socket_effect::Request& effect);
  void handle(TimeMs now, socket_effect::ReplyArrived& effect);
  void handle(TimeMs now, socket_effect::ServerStateChanged& effect);

  void write(TimeMs now, persist_effect::Write& effect);
  void respond(TimeMs now, persist_effect::Respond& effect);
  void lose_who(TimeMs now);
  void count(const Headers& request);

  PersistServerOptions options_;
  Client client_;
  Sockets sockets_;
  PersistServer server_;
  SocketServerId listener_ = 0;
  SubscriptionId who_ = 0;
  bool answers_who_ = false;
  // Listening again after the broker has refused it.
  std::optional<TimeMs> listen_at_;
  // Batches of getAll whose arrival is awaited, by the probe sent behind them.
  std::unordered_map<CallId, std::uint64_t> flows_;
  PersistStatistics statistics_;  // but for the sockets
  std::unordered_set<SocketId> connected_;
};

// ---- listening ----

void PersistHost::Impl::listen(TimeMs now) {
  listen_at_.reset();
  if (listener_ == 0) {
    ListenOptions options;
    options.id = options_.server_id;
    options.max_queue_bytes = limits::persist_socket_queue_bytes;
    Result<SocketServerId> listener =
        sockets_.listen(now, kListener, options_.service + ".*", options);
    if (listener) listener_ = *listener;
  }
  if (who_ == 0) {
    SubscribeOptions options;
    options.queue = "0";  // exactly one of several servers answers
    options.timeout_ms = 0;
    Result<SubscriptionId> who = client_.subscribe(now, kWho, options_.service + ".*.id", options);
    if (who) who_ = *who;
  }
  const bool failed = listener_ == 0 || who_ == 0;
  if (failed && client_.state() != ClientState::closed) {
    listen_at_ = now + limits::persist_listen_retry_ms;
  }
}

void PersistHost::Impl::lose_who(TimeMs now) {
  who_ = 0;
  answers_who_ = false;
  listen_at_ = now + limits::persist_listen_retry_ms;
}

void PersistHost::Impl::handle(TimeMs now, client_effect::SubscribeDone& effect) {
  if (effect.error) {
    lose_who(now);
  } else {
    answers_who_ = true;
  }
}

void PersistHost::Impl::handle(TimeMs now, client_effect::SubscriptionEnded&) { lose_who(now); }

void PersistHost::Impl::handle(TimeMs now, socket_effect::ServerStateChanged& effect) {
  if (effect.state != SocketState::closed || client_.state() == ClientState::closed) return;
  listener_ = 0;
  listen_at_ = now + limits::persist_listen_retry_ms;
}

void PersistHost::Impl::handle(TimeMs now, client_effect::MessageArrived& effect) {
  const std::string_view reply = effect.message.reply_subject();
  if (reply.empty()) return;
  const std::vector<std::string>& ids = options_.server_ids;
  const std::string scope = second_token(effect.message.subject);
  const std::string& id =
      ids.empty() ? options_.server_id : ids[persist_server_index(scope, ids.size())];
  sockets_.respond(now, reply, MessageData::of(Value(id)));
}

// ---- between the layers ----

bool PersistHost::Impl::route(TimeMs now, ClientEffect& effect) {
  const bool transport = std::holds_alternative<client_effect::OpenTransport>(effect) ||
                         std::holds_alternative<client_effect::SendMessages>(effect) ||
                         std::holds_alternative<client_effect::CloseTransport>(effect);
  if (transport) return true;
  const bool own = std::visit(
      [](const auto& each) {
        if constexpr (requires { each.owner; }) return each.owner.layer == Layer::service;
        return false;
      },
      effect);
  if (own) {
    std::visit([&](auto& each) { handle(now, each); }, effect);
  } else {
    sockets_.on_client_effect(now, std::move(effect));
  }
  return false;
}

bool PersistHost::Impl::route(TimeMs now, PersistEffect& effect) {
  if (auto* writing = std::get_if<persist_effect::Write>(&effect)) {
    write(now, *writing);
    return false;
  }
  if (auto* responding = std::get_if<persist_effect::Respond>(&effect)) {
    respond(now, *responding);
    return false;
  }
  return true;
}

void PersistHost::Impl::handle(TimeMs now, socket_effect::Connected& effect) {
  connected_.insert(effect.socket);
  server_.on_connected(now, effect.socket, effect.subject);
}

void PersistHost::Impl::handle(TimeMs now, socket_effect::StateChanged& effect) {
  if (effect.state != SocketState::closed) return;
  connected_.erase(effect.socket);
  server_.on_closed(now, effect.socket);
}

void PersistHost::Impl::handle(TimeMs now, socket_effect::Data& effect) {
  server_.on_data(now, effect.socket, effect.data);
}

void PersistHost::Impl::handle(TimeMs now, socket_effect::Request& effect) {
  count(effect.data.headers);
  server_.on_request(now, effect.socket, effect.reply_subject, std::move(effect.data));
}

void PersistHost::Impl::count(const Headers& request) {
  const auto& commands = PersistStatistics::commands;
  const std::string_view command = request.text("cmd").value_or(std::string_view{});
  const auto found = std::find(commands.begin(), commands.end() - 1, command);
  ++statistics_.requests[static_cast<std::size_t>(found - commands.begin())];
}

void PersistHost::Impl::write(TimeMs now, persist_effect::Write& effect) {
  // A reader that is too slow has lost its place: it opens a new socket and reads again.
  if (!sockets_.write(now, effect.socket, std::move(effect.data))) {
    sockets_.close(now, effect.socket);
  }
}

void PersistHost::Impl::respond(TimeMs now, persist_effect::Respond& effect) {
  if (effect.data.headers.has("error")) ++statistics_.failed;
  sockets_.respond(now, effect.reply_subject, effect.data);
  if (effect.flow == 0) return;
  Result<CallId> call = sockets_.probe(now, effect.socket);
  if (call) {
    flows_.emplace(*call, effect.flow);
  } else {
    server_.on_responded(now, effect.flow, false);
  }
}

void PersistHost::Impl::handle(TimeMs now, socket_effect::ReplyArrived& effect) {
  auto found = flows_.find(effect.call);
  if (found == flows_.end()) return;
  const std::uint64_t flow = found->second;
  flows_.erase(found);
  server_.on_responded(now, flow, effect.reply.ok());
}

bool PersistHost::Impl::next(TimeMs now, PersistHostEffect& effect) {
  while (true) {
    ClientEffect from_client;
    if (client_.next(from_client)) {
      if (!route(now, from_client)) continue;
      effect = std::move(from_client);
      return true;
    }
    SocketEffect from_sockets;
    if (sockets_.next(from_sockets)) {
      std::visit([&](auto& each) { handle(now, each); }, from_sockets);
      continue;
    }
    PersistEffect from_server;
    if (!server_.next(from_server)) return false;
    if (!route(now, from_server)) continue;
    effect = std::move(from_server);
    return true;
  }
}

void PersistHost::Impl::on_time(TimeMs now) {
  client_.on_time(now);
  sockets_.on_time(now);
  server_.on_time(now);
  if (listen_at_ && *listen_at_ <= now) listen(now);
}

std::optional<TimeMs> PersistHost::Impl::deadline() const {
  const auto lower = earlier(client_.deadline(), sockets_.deadline());
  return earlier(lower, earlier(server_.deadline(), listen_at_));
}

// ---- the interface ----

PersistHost::PersistHost(PersistServerOptions options, ClientOptions client_options, Random random)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(client_options),
                                   std::move(random))) {}
PersistHost::~PersistHost() = default;

void PersistHost::start(TimeMs now) { impl_->start(now); }
bool PersistHost::ready() const { return impl_->ready(); }
Client& PersistHost::client() { return impl_->client(); }
void PersistHost::on_storage(TimeMs now, StorageResult result) {
  impl_->on_storage(now, std::move(result));
}
void PersistHost::on_time(TimeMs now) { impl_->on_time(now); }
std::optional<TimeMs> PersistHost::deadline() const { return impl_->deadline(); }
bool PersistHost::next(TimeMs now, PersistHostEffect& effect) { return impl_->next(now, effect); }
PersistStatistics PersistHost::statistics() const { return impl_->statistics(); }

}  // namespace conat
