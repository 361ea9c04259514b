// One event loop with its connections and its Broker: reads bytes into the broker and carries its
// effects out.
//
// Shards share nothing but Common: what one has for another goes through mailboxes. Thread safety:
// everything belongs to the shard's thread, except post() and what is called before run().
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/admission.hpp"
#include "broker/connection_table.hpp"
#include "broker/links.hpp"
#include "broker/log.hpp"
#include "broker/mailbox.hpp"
#include "broker/metrics.hpp"
#include "broker/options.hpp"
#include "broker/persistence.hpp"
#include "broker/routes.hpp"
#include "broker/sign_ins.hpp"
#include "broker/system_service.hpp"
#include "conat/broker/broker.hpp"
#include "net/address_limiter.hpp"
#include "net/listener.hpp"

namespace conat::server {

class Shard;

// What the shards of one process have in common.
struct Common {
  explicit Common(Options configured)
      : options(std::move(configured)),
        admission(options.max_connections, connections_per_user(options)) {}

  Options options;
  Admission admission;
  // For lines that peers can cause.
  LogLimit slow_consumer_lines{20};
  LogLimit refusal_lines{20};
  net::StaticFiles files;
  net::TlsCertificates certificates;
  net::AddressLimiter address_limiter;
  std::vector<std::unique_ptr<Shard>> shards;  // complete before the first one runs
  std::vector<Mailbox> mailboxes;              // [from * shards + to]
  std::unique_ptr<Links> links;                // with a system account; made before they run
  std::atomic<std::size_t> connections{0};     // WebSockets, signed in or not
  std::atomic<bool> ready{false};
  auth::OriginPolicy origins;
  std::unique_ptr<Authenticator> authenticator;  // set before the first shard is made

  Mailbox& mailbox(ShardIndex from, ShardIndex to) {
    return mailboxes[std::size_t{from} * shards.size() + to];
  }
};

class Shard final : private net::StreamOwner {
 public:
  Shard(Common& common, ShardIndex index);
  ~Shard();

  // ---- before run() ----
  net::error_code listen(const net::asio::ip::tcp::endpoint& endpoint);
  std::uint16_t port() const { return listener_.port(); }
  // Makes the broker; the port must be known by now. The first shard has the broker's own clients:
  // the persistence server when there is a `storage`, and the system service.
  void prepare(Random random, storage::StorageEngine* storage);

  // Serves until stop_loop().
  void run();
  void stop_loop() { loop_.stop(); }
  template <class Task>
  void post(Task&& task) {
    loop_.post(std::forward<Task>(task));
  }

  // ---- on the shard's thread ----
  void on_storage(StorageResult result);
  ShardMetrics metrics() const;
  // Closes the connections whose user or key is not in the files any more.
  void close_withdrawn();
  // A broker is being joined: from now on it is one more peer, under the mail's number.
  void add_link(std::shared_ptr<LinkMail> mail);
  void receive_link_mail(LinkMail& mail);
  void remove_link(ShardIndex link);
  // What the event `cluster` answers besides this broker.
  void set_joined_brokers(const std::vector<JoinedBroker>& brokers);
  // A mailbox that was full has been emptied.
  void mailbox_emptied(ShardIndex to);
  // The first step of ending: accepts nothing more, submits nothing more to the storage.
  void stop_accepting();
  // The second: closes every connection with 1001 and calls `done` when all have gone.
  void close_all(std::function<void()> done);

 private:
  void on_stream_bytes(net::Stream& stream, std::span<std::uint8_t> bytes) override;
  void on_stream_written(net::Stream& stream, std::size_t bytes) override;
  void on_stream_closed(net::Stream& stream) override;

  Routes::Hooks make_hooks();
  void accept(net::Socket socket);
  void open(net::UpgradedStream upgraded, const net::HttpRequest& request);
  void read_bytes(net::Stream& stream, std::span<std::uint8_t> bytes);
  void read_compressed(net::Stream& stream, std::span<std::uint8_t> bytes);
  void read_rest_soon(ConnectionId id);
  void send_compressed(net::Stream& stream, ConnectionId id, const SharedBytes& bytes);
  Identity admit(const std::string& address, Identity identity, Admission::Ticket& ticket);
  void on_identified(const SignIns::Question& question, const auth::Outcome& answer);
  void forget(ConnectionId id);
  void prepare_own_clients(Random& random, storage::StorageEngine* storage);
  InProcessClient* own_client(ConnectionId id);
  // Asks every shard on its own thread; `done` gets the answers in order, on this one's.
  template <class Answer>
  void ask_all_shards(std::function<Answer(Shard&)> ask,
                      std::function<void(std::vector<Answer>)> done);
  void collect_metrics(std::function<void(std::string)> done);
  void describe_connections(std::function<void(std::vector<ConnectionDescription>)> done);
  void disconnect(std::vector<std::string> sids, std::function<void()> done);

  void drain_broker();
  void carry_out(effect::Send& effect);
  void carry_out(const effect::Close& effect);
  void log_close(const effect::Close& effect);
  void log_refusal(LogLevel level, std::string_view message, const std::string& address,
                   const Value& user, const Value& refusal);
  void carry_out(const effect::PauseReading& effect);
  void end_turn();
  void send_mail();
  void receive_mail(ShardIndex from);
  void read_mail(ShardIndex from);
  std::function<void(const Status&)> on_this_shard(std::function<void(const Status&)> done);
  void arm_timer();
  void on_time();

  Common& common_;
  const ShardIndex index_;
  net::Loop loop_;
  net::Listener listener_;
  Routes routes_;
  net::HttpServer http_;
  std::optional<Broker> broker_;
  std::optional<Persistence> persistence_;
  std::optional<SystemService> system_service_;
  std::vector<InProcessClient*> own_clients_;  // those that are there
  ConnectionTable connections_;
  SignIns sign_ins_;
  std::unordered_map<ConnectionId, Admission::Ticket> tickets_;  // of those signed in
  BrokerEffect effect_;
  net::CompressionPool compression_;
  // Have compressed input that could not be passed on while reads are held.
  std::vector<ConnectionId> held_compressed_;

  struct Outbox {
    std::vector<PeerMessage> messages;
    bool full = false;
    std::shared_ptr<LinkMail> link;  // of a joined broker
  };
  Mailbox::PutResult put_mail(ShardIndex to, Outbox& outbox);
  std::vector<Outbox> outboxes_;  // by peer: siblings, then joined brokers
  std::vector<PeerMessage> inbox_;
  std::uint64_t holds_ = 0;
  std::uint64_t dropped_by_rate_ = 0;
  std::uint64_t refused_by_rate_ = 0;
  std::uint64_t over_limit_ = 0;
  SignInCounters sign_in_counters_;

  net::Timer timer_;
  std::optional<TimeMs> armed_;
  TimeMs linger_ms_;
  bool closing_ = false;
};

}  // namespace conat::server
