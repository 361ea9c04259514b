// The system service: what administrators ask a broker, on the subjects
//
//   sys.conat.{cluster}        of all brokers of the cluster, each of which answers
//   sys.conat.{cluster}.{id}   of this broker
//
// `stats`, `usage` and `disconnect` are answered on both; `clusterAddresses`, `clusterTopology`,
// `join` and `unjoin` on the broker's own subject alone. Who may ask is decided by the broker's
// authorization, as for every subject. It is one of the broker's own clients.
//
// What asks all shards (`stats`, `disconnect`) runs one after the other: however many ask, it costs
// one round through the shards at a time. Thread safety: none, its shard's thread.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "broker/admission.hpp"
#include "broker/in_process_client.hpp"
#include "broker/links.hpp"
#include "conat/base/random.hpp"
#include "conat/fabric/service_host.hpp"

namespace conat::server {

struct SystemServiceOptions {
  std::string id = "0";
  std::string cluster_name = "default";
  std::string address;  // of this broker
};

class SystemService final : public InProcessClient {
 public:
  using Done = std::function<void(const Status&)>;
  // All call back on this shard's thread, not before they have returned.
  struct Hooks {
    std::function<void(std::function<void(std::vector<ConnectionDescription>)>)> describe;
    std::function<void(std::vector<std::string> ids, std::function<void()>)> disconnect;
    std::function<void(std::string address, Done)> join;
    std::function<void(std::string cluster, std::string id, Done)> unjoin;
    std::function<std::vector<JoinedBroker>()> joined;
  };

  SystemService(Broker& broker, const Admission& admission, SystemServiceOptions options,
                Hooks hooks, Random random);

  const char* name() const override { return "system service"; }
  void start(TimeMs now) override;
  bool ready() const override { return host_.ready(); }
  void on_time(TimeMs now) override;
  std::optional<TimeMs> deadline() const override { return host_.deadline(); }

 private:
  Client& client() override { return host_.client(); }
  bool carry_out_effects(TimeMs now) override;

  void on_call(TimeMs now, const ServiceCall& call);
  void on_cluster_call(TimeMs now, const ServiceCall& call);
  void join(TimeMs now, const ServiceCall& call);
  void unjoin(TimeMs now, const ServiceCall& call);
  Value addresses(const ServiceCall& call) const;
  Value topology() const;
  Done answer_later(std::uint64_t call);
  Value usage() const;
  void ask_shards();
  void answer_stats(const std::vector<std::uint64_t>& calls,
                    const std::vector<ConnectionDescription>& connections);

  const Admission& admission_;
  const SystemServiceOptions options_;
  Hooks hooks_;
  ServiceHost host_;
  // Calls that wait for their turn at the shards.
  std::vector<std::uint64_t> stats_calls_;
  struct Disconnect {
    std::uint64_t call;
    std::vector<std::string> ids;
  };
  std::deque<Disconnect> disconnects_;
  bool asking_ = false;
};

}  // namespace conat::server
