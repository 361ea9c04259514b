// The brokers that this one has joined: their Links (shared/conat/broker/link.hpp) with transports
// and mailboxes, on a thread of their own, which is there from the first join on.
//
// A link is tried again for ever until it is left by unjoin(); only when the very first attempt
// fails, join() fails and nothing stays. Thread safety: everything public may be called from any
// thread; answers come on the links' thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "broker/link_mail.hpp"
#include "broker/link_metrics.hpp"
#include "client/server_address.hpp"
#include "client/transport.hpp"
#include "conat/base/random.hpp"
#include "conat/base/result.hpp"
#include "conat/broker/link.hpp"
#include "net/asio.hpp"

namespace conat::server {

struct Common;

// A broker that was joined.
struct JoinedBroker {
  std::string cluster;  // "default" when it has no name
  std::string id;
  std::string address;  // by which it was joined
};

class Links {
 public:
  using Done = std::function<void(const Status&)>;

  Links(Common& common, Random random);
  ~Links();
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  // `done` when all shards know the subscribers of the broker at that address, at once if they do
  // already. `keep`: the first attempt may fail, too; `done` is told so, and it is tried again.
  void join(std::string address, bool keep, Done done);
  // `done` when no shard knows them any more.
  void unjoin(std::string cluster, std::string id, Done done);
  // Those that have been linked with at some time, in the order in which they were joined.
  std::vector<JoinedBroker> brokers() const;
  void collect_metrics(std::function<void(const LinkMetrics&)> done);
  // A shard has put something into the mailbox of a link, which was empty.
  void receive(ShardIndex link, ShardIndex from);
  // Closes all connections and opens no new ones.
  void stop();

 private:
  struct Entry;
  using EntryPointer = std::shared_ptr<Entry>;

  void run_here(std::function<void()> task);
  void do_join(const std::string& address, bool keep, Done done);
  void do_unjoin(const std::string& cluster, const std::string& id, Done done);
  void do_receive(ShardIndex link, ShardIndex from);
  EntryPointer find(ShardIndex link) const;
  ShardIndex free_index() const;

  void add(const std::string& url, native::ServerAddress target, bool keep, Done done);
  void open_transport(const EntryPointer& entry);
  void drain(const EntryPointer& entry);
  void carry_out(const EntryPointer& entry, LinkEffect& effect);
  void on_identified(const EntryPointer& entry);
  void on_up(const EntryPointer& entry);
  void on_down(const EntryPointer& entry, const link_effect::Down& down);
  void on_gone(const EntryPointer& entry);
  void leave(const EntryPointer& entry);
  void send_mail(Entry& entry);
  void arm_timer(const EntryPointer& entry);
  void brokers_changed();

  Common& common_;
  Random random_;
  net::asio::io_context context_;
  net::asio::executor_work_guard<net::asio::io_context::executor_type> work_;
  std::once_flag started_;
  std::atomic<bool> running_{false};
  std::thread thread_;

  std::vector<EntryPointer> entries_;  // in the order in which they were joined
  std::vector<PeerMessage> inbox_;
  LinkCounters ended_;  // of those that are gone
  bool stopped_ = false;

  mutable std::mutex mutex_;
  std::vector<JoinedBroker> brokers_;
};

}  // namespace conat::server
