#include "broker/server.hpp"

#include <sys/random.h>

#include "broker/built_in_files.hpp"

namespace conat::server {
namespace {

// What each step of ending may take.
constexpr std::chrono::milliseconds storage_limit{2500};
constexpr std::chrono::milliseconds connections_limit{1500};
// Between two looks at the files of users and keys.
constexpr std::chrono::milliseconds files_interval{2000};

Random random_from_system() {
  Random::Seed seed;
  std::size_t filled = 0;
  while (filled < seed.size()) {
    const ssize_t count = ::getrandom(seed.data() + filled, seed.size() - filled, 0);
    if (count > 0) filled += static_cast<std::size_t>(count);
  }
  return Random(seed);
}

}  // namespace

Server::Server(Options options, net::asio::io_context& main)
    : main_(main), common_(std::move(options)), timer_(main), files_timer_(main) {}

Server::~Server() {
  for (const auto& shard : common_.shards) shard->stop_loop();
  for (auto& thread : threads_) thread.join();
  common_.links.reset();  // it posts to shards
  if (storage_stopper_.joinable()) storage_stopper_.join();
}

Status Server::start() {
  if (auto status = load_files(); !status) return status;
  if (auto status = prepare_authentication(); !status) return status;
  if (common_.options.tls()) {
    const Options& options = common_.options;
    common_.certificates.set_files(options.tls_certificate, options.tls_key);
    if (auto status = common_.certificates.load(); !status) return status;
  }
  common_.address_limiter.configure({.per_second = common_.options.connection_rate,
                                     .burst = common_.options.connection_burst,
                                     .limit_loopback = common_.options.limit_loopback,
                                     .seed = random_from_system().next_u64()});
  if (auto status = listen(); !status) return status;
  if (!common_.options.no_persist) {
    if (auto status = open_storage(); !status) return status;
  }
  const std::size_t count = common_.shards.size();
  common_.mailboxes = std::vector<Mailbox>(count * count);
  for (std::size_t i = 0; i < count; ++i) {
    common_.shards[i]->prepare(random_from_system(), i == 0 ? storage_.get() : nullptr);
  }
  if (common_.options.has_system_account()) {
    common_.links = std::make_unique<Links>(common_, random_from_system());
  }
  common_.ready = common_.options.no_persist && !common_.options.has_system_account();
  for (const auto& shard : common_.shards) {
    threads_.emplace_back([&shard = *shard] { shard.run(); });
  }
  if (common_.authenticator->required()) watch_files();
  for (const std::string& broker : common_.options.join) {
    common_.links->join(broker, true, [](const Status&) {});  // what comes of it is logged
  }
  return Nothing{};
}

std::string Server::address() const {
  const Options& options = common_.options;
  const bool v6 = options.host.find(':') != std::string::npos;
  return std::string(options.tls() ? "https://" : "http://") +
         (v6 ? "[" + options.host + "]" : options.host) + ":" +
         std::to_string(common_.shards.front()->port()) + options.base_path;
}

Status Server::load_files() {
  const auto& directory = common_.options.web_directory;
  if (directory.empty()) {
    for (const auto& file : built_in_files()) common_.files.add(std::string(file.path), file.data);
    return Nothing{};
  }
  if (auto status = common_.files.add_directory(directory); !status) {
    return Error(ErrorKind::invalid_argument,
                 "cannot serve " + directory.string() + ": " + status.error().text);
  }
  return Nothing{};
}

Status Server::prepare_authentication() {
  auto origins = auth::OriginPolicy::make(origin_options(common_.options));
  if (!origins) return Error(ErrorKind::invalid_argument, "--origins: " + origins.error().text);
  common_.origins = std::move(*origins);
  auto authenticator = Authenticator::open(common_.options, main_);
  if (!authenticator) return authenticator.error();
  common_.authenticator = std::move(*authenticator);
  return Nothing{};
}

Status Server::listen() {
  const Options& options = common_.options;
  net::asio::ip::tcp::endpoint endpoint(net::asio::ip::make_address(options.host), options.port);
  const auto failed = [&](const net::error_code& error) {
    return Error(ErrorKind::invalid_argument, "cannot listen on " + options.host + " port " +
                                                  std::to_string(options.port) + ": " +
                                                  error.message());
  };
  if (const auto error = net::Listener::probe(endpoint)) return failed(error);
  for (unsigned i = 0; i < options.shards; ++i) {
    auto shard = std::make_unique<Shard>(common_, static_cast<ShardIndex>(i));
    if (const auto error = shard->listen(endpoint)) return failed(error);
    endpoint.port(shard->port());  // what port 0 has become
    common_.shards.push_back(std::move(shard));
  }
  return Nothing{};
}

Status Server::open_storage() {
  const Options& options = common_.options;
  if (auto status = data_directory_.open(options.data_directory); !status) return status;
  storage::StorageEngine::Options settings;
  settings.data_dir = options.data_directory;
  settings.durable_disk = options.durable_disk();
  settings.archive_dir = options.archive_directory;
  settings.archive_interval_ms = options.archive_interval_ms;
  settings.backup_dir = options.backup_directory;
  settings.log = [](std::string_view text) {
    log_line(LogLevel::warning, "storage", {{"event", text}});
  };
  storage_ = std::make_unique<storage::StorageEngine>(
      std::move(settings), [&shard = *common_.shards.front()](StorageResult result) {
        shard.post([&shard, result = std::move(result)]() mutable {
          shard.on_storage(std::move(result));
        });
      });
  if (auto status = storage_->prepare(); !status) return status;
  storage_stopped_ = false;
  return Nothing{};
}

void Server::reload() {
  if (!common_.authenticator->required() && !common_.options.tls()) {
    log_line(LogLevel::info, "SIGHUP: there is nothing to be read again");
  }
  reload_authentication();
  reload_certificates();
}

void Server::reload_authentication() {
  if (common_.authenticator->required()) authentication_read(common_.authenticator->reload());
}

void Server::watch_files() {
  files_timer_.expires_after(files_interval);
  files_timer_.async_wait([this](net::error_code error) {
    if (error) return;
    const Result<bool> changed = common_.authenticator->look_for_changes();
    if (!changed) {
      authentication_read(changed.error());
    } else if (*changed) {
      authentication_read(Nothing{});
    }
    watch_files();
  });
}

// Also after an error: of several files one may have been good.
void Server::authentication_read(const Status& status) {
  if (status) {
    log_line(LogLevel::info, "users and keys read again");
  } else {
    log_line(LogLevel::error, "cannot read users and keys again; those read before stay in force",
             {{"error", status.error().text}});
  }
  for (const auto& shard : common_.shards) {
    shard->post([&shard = *shard] { shard.close_withdrawn(); });
  }
}

void Server::reload_certificates() {
  if (!common_.options.tls()) return;
  if (const auto status = common_.certificates.load(); !status) {
    log_line(LogLevel::error, status.error().text + "; the old certificate stays in use");
    return;
  }
  log_line(LogLevel::info, "TLS certificate read again, valid until " +
                               common_.certificates.current()->valid_until());
}

// ---- the end ----

void Server::end(std::function<void()> done) {
  done_ = std::move(done);
  files_timer_.cancel();
  if (common_.links) common_.links->stop();
  waiting_for_ = common_.shards.size();
  for (const auto& shard : common_.shards) {
    shard->post([this, &shard = *shard] {
      shard.stop_accepting();
      net::asio::post(main_, [this] {
        if (--waiting_for_ == 0) stop_storage();
      });
    });
  }
}

void Server::stop_storage() {
  if (!storage_) return close_connections();
  step_ = 1;
  storage_stopper_ = std::thread([this] {
    storage_->stop();
    net::asio::post(main_, [this] {
      storage_stopped_ = true;
      if (step_ == 1) close_connections();
    });
  });
  timer_.expires_after(storage_limit);
  timer_.async_wait([this](net::error_code error) {
    if (error || step_ != 1) return;
    log_line(LogLevel::warning,
             "the storage takes long to finish; closing the connections meanwhile");
    close_connections();
  });
}

void Server::close_connections() {
  step_ = 2;
  waiting_for_ = common_.shards.size();
  for (const auto& shard : common_.shards) {
    shard->post([this, &shard = *shard] {
      shard.close_all([this] {
        net::asio::post(main_, [this] {
          if (--waiting_for_ == 0 && step_ == 2) finish();
        });
      });
    });
  }
  timer_.expires_after(connections_limit);
  timer_.async_wait([this](net::error_code error) {
    if (!error && step_ == 2) finish();
  });
}

void Server::finish() {
  step_ = 3;
  timer_.cancel();
  // Every acknowledged write is on the disk already: what is still going on may be cut off.
  if (!storage_stopped_) std::_Exit(0);
  done_();
}

}  // namespace conat::server
