// The whole broker process: its shards and their threads, the storage, start and end.
//
// Ending goes in steps, each bounded in time: accept nothing more; let the storage finish, so that
// what it has done is still answered; close every connection; stop the threads.
// Thread safety: none, the main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "broker/data_directory.hpp"
#include "broker/options.hpp"
#include "broker/shard.hpp"
#include "net/asio.hpp"
#include "storage/storage_engine.hpp"

namespace conat::server {

class Server {
 public:
  // `main` is the main thread's context; the steps of ending run there.
  Server(Options options, net::asio::io_context& main);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens and serves; the error's text is for the user.
  Status start();
  // Valid after start(): "http://127.0.0.1:8080/base", or https.
  std::string address() const;
  // Reads users, keys and the TLS certificate again; logs what comes of it. Whose user or key has
  // gone is disconnected. Files of users and keys are also read again when they change.
  void reload();
  // Begins to end; `done` is called within about 4 s.
  void end(std::function<void()> done);

 private:
  Status load_files();
  Status prepare_authentication();
  void watch_files();
  void reload_authentication();
  void authentication_read(const Status& status);
  void reload_certificates();
  Status listen();
  Status open_storage();
  void stop_storage();
  void close_connections();
  void finish();

  net::asio::io_context& main_;
  DataDirectory data_directory_;
  Common common_;
  std::unique_ptr<storage::StorageEngine> storage_;
  std::vector<std::thread> threads_;
  std::thread storage_stopper_;
  net::Timer timer_;
  net::Timer files_timer_;
  std::size_t waiting_for_ = 0;  // shards in the current step
  int step_ = 0;
  bool storage_stopped_ = true;
  std::function<void()> done_;
};

}  // namespace conat::server
