// The storage behind a persistence server, in memory: streams by id, "files" by path that outlive
// them.
//
// Thread safety: none.
#pragma once

#include <catch2/catch.hpp>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conat/stream/memory_store.hpp"
#include "conat/stream/persist_server.hpp"
#include "conat/stream/storage_group.hpp"
#include "conat/stream/stream.hpp"

namespace conat::test {

class MemoryStorage {
 public:
  void open(UnixMs now, const persist_effect::OpenStream& opening) {
    Disk& disk = disks_[opening.stream];
    disk.opened.emplace();
    disk.opened->stream = opening.stream;
    disk.opened->opened = true;
    if (refuse_open) {
      disk.opened->open_error = refuse_open;
      return;
    }
    disk.store = opening.ephemeral ? nullptr : files_[opening.path];
    if (disk.store == nullptr) disk.store = std::make_shared<MemoryStore>();
    if (!opening.ephemeral) files_[opening.path] = disk.store;
    Result<Stream> stream = Stream::open(*disk.store, now, opening.ephemeral);
    REQUIRE(stream.ok());
    disk.stream = std::make_unique<Stream>(std::move(*stream));
  }
  void submit(persist_effect::Submit& effect) {
    disks_[effect.stream].queue.push_back(std::move(effect.request));
  }
  void close(StreamId stream) { disks_.erase(stream); }
  std::size_t open_streams() const { return disks_.size(); }

  // One group of each stream that has something to do.
  std::vector<StorageResult> run(UnixMs now) {
    std::vector<StorageResult> results;
    for (auto& [id, disk] : disks_) {
      if (disk.opened) results.push_back(*std::exchange(disk.opened, std::nullopt));
      if (disk.queue.empty()) continue;
      std::vector<StorageRequest> requests = std::move(disk.queue);
      disk.queue.clear();
      std::size_t consumed = 0;
      results.push_back(run_storage_group(*disk.stream, id, now, requests, consumed));
      disk.queue.insert(
          disk.queue.end(),
          std::make_move_iterator(requests.begin() + static_cast<std::ptrdiff_t>(consumed)),
          std::make_move_iterator(requests.end()));
    }
    return results;
  }

  std::optional<Error> refuse_open;

 private:
  struct Disk {
    std::shared_ptr<MemoryStore> store;
    std::unique_ptr<Stream> stream;
    std::vector<StorageRequest> queue;
    std::optional<StorageResult> opened;
  };
  std::map<StreamId, Disk> disks_;
  std::map<std::string, std::shared_ptr<MemoryStore>> files_;
};

}  // namespace conat::test
