// The broker's own persistence server: a PersistHost that is a client of its shard's Broker inside
// the process, and the way between it and the storage.
//
// Thread safety: none, the shard's thread; storage results are posted to it.
#pragma once

#include <optional>

#include "broker/in_process_client.hpp"
#include "conat/base/random.hpp"
#include "conat/fabric/persist_host.hpp"
#include "storage/storage_engine.hpp"

namespace conat::server {

class Persistence final : public InProcessClient {
 public:
  Persistence(Broker& broker, storage::StorageEngine& storage, PersistServerOptions options,
              Random random);

  const char* name() const override { return "persistence server"; }
  void start(TimeMs now) override;
  bool ready() const override { return host_.ready(); }
  void on_time(TimeMs now) override;
  std::optional<TimeMs> deadline() const override { return host_.deadline(); }

  void on_storage(TimeMs now, StorageResult result);
  // Hands nothing to the storage any more.
  void stop() { stopped_ = true; }

  PersistStatistics statistics() const { return host_.statistics(); }
  storage::StorageStatistics storage_statistics() const { return storage_.statistics(); }

 private:
  Client& client() override { return host_.client(); }
  bool carry_out_effects(TimeMs now) override;
  void carry_out(PersistEffect& effect);

  storage::StorageEngine& storage_;
  PersistHost host_;
  bool stopped_ = false;
};

}  // namespace conat::server
