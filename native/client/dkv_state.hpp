// What a Dkv has in common with the callbacks that feed it.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <map>

#include "client/connection.hpp"
#include "client/dkv.hpp"

namespace conat::native {

class Dkv::State : public std::enable_shared_from_this<State> {
 public:
  State(std::shared_ptr<Connection> shared_connection, DkvSettings settings)
      : connection(std::move(shared_connection)),
        driver(connection->driver),
        settings_(std::move(settings)) {}

  void open(Completion<Result<Dkv>> done);
  void close();
  void save(Completion<Status> done);
  Dkvs& dkvs() const { return driver->fabric().dkvs(); }

  std::shared_ptr<Connection> connection;  // null: closed
  const std::shared_ptr<Driver> driver;
  DkvId id = 0;
  std::vector<std::weak_ptr<DkvChanges::Queue>> watchers;
  std::function<void(const DkvChange&)> on_change;
  std::function<void(const std::string&, const Error&)> on_reject;

 private:
  void tell(const dkv_effect::Change& change);
  void merge(const dkv_effect::MergeNeeded& conflict);
  void finish();
  void opened(Result<Dkv> result);

  DkvSettings settings_;
  Completion<Result<Dkv>> opening_;
  std::map<std::uint64_t, Completion<Status>> saves_;
  std::uint64_t last_save_ = 0;
};

}  // namespace conat::native
