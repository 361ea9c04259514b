// Who connects: the ways of authentication (native/auth/chain.hpp) as the options configure them.
//
// Without any of them configured there is no authentication: everybody is the anonymous user, or
// null, and may do everything. Thread safety: identify() and reload() from any thread; `done` is
// called once, at once or later on another thread, and must not block.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "auth/chain.hpp"
#include "auth/origin.hpp"
#include "broker/options.hpp"
#include "conat/broker/identity.hpp"
#include "net/asio.hpp"

namespace conat::server {

class Authenticator {
 public:
  using Done = auth::Chain::Done;

  // Reads the files that the options name; the error's text names the file and what is wrong.
  // A service is asked on `context`, whose thread is not that of a shard; it outlives this, and
  // does not run any more when this is destroyed.
  static Result<std::unique_ptr<Authenticator>> open(const Options& options,
                                                     net::asio::io_context& context);
  ~Authenticator();
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  // False: nothing is ever asked; without_authentication() is everybody's identity.
  bool required() const { return chain_ != nullptr; }
  const Identity& without_authentication() const { return everybody_; }

  // `request` without the cookies of foreign pages, with CONNECT's auth object.
  void identify(const auth::Request& request, Done done);

  // Of the service that is asked; zero when there is none.
  auth::HttpCallbackCounters service_counters() const;

  // Reads users and keys again; what cannot be read stays as it was and is told in the error.
  Status reload();
  // The same when a file has changed since it was read, and has stayed the same since the last look
  // at it: one that is just being written is let alone. An error is told once for each change. From
  // one thread.
  Result<bool> look_for_changes();
  // Whether what an identity rests on is still there.
  bool holds(const std::optional<auth::Grant>& grant) const;

 private:
  explicit Authenticator(Identity everybody) : everybody_(std::move(everybody)) {}

  Identity everybody_;
  std::shared_ptr<auth::Chain> chain_;  // null: no authentication
  std::vector<auth::FileStamp> seen_;   // at the last look
};

auth::OriginOptions origin_options(const Options& options);

// What the broker is told: the outcome with its expiry on the clock of connections.
Identity identity_of(const auth::Outcome& outcome, TimeMs now);

}  // namespace conat::server
