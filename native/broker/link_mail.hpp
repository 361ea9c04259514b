// What the shards and one link have for each other. Thread safety: as Mailbox.
#pragma once

#include <vector>

#include "broker/mailbox.hpp"

namespace conat::server {

struct LinkMail {
  LinkMail(ShardIndex as_link, std::size_t shards)
      : link(as_link), to_link(shards), to_shard(shards) {}

  const ShardIndex link;          // its number as a peer of the shards
  std::vector<Mailbox> to_link;   // by shard
  std::vector<Mailbox> to_shard;  // by shard
};

}  // namespace conat::server
