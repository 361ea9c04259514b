// The handshakes of one shard's connections, and the questions of its broker about them.
//
// What a client showed in its HTTP handshake is kept for as long as the connection lives: a client
// may CONNECT again on it, and a renewal may ask a service that wants to see all of it.
// Thread safety: none, the shard's thread; answers come through `post`.
#pragma once

#include <functional>
#include <optional>
#include <unordered_map>

#include "auth/origin.hpp"
#include "broker/authenticator.hpp"
#include "conat/broker/broker.hpp"
#include "net/http_message.hpp"

namespace conat::server {

class SignIns {
 public:
  using Post = std::function<void(std::function<void()>)>;
  using Answered = std::function<void(ConnectionId, const auth::Outcome&)>;

  // `authenticator` and `origins` outlive this. `post` runs a task on the shard's thread, from any;
  // `answered` is called there.
  SignIns(Authenticator& authenticator, const auth::OriginPolicy& origins, Post post,
          Answered answered);

  // Whether a page of this origin may connect. Without authentication those of this machine may.
  bool allows_origin(const net::HttpRequest& request, bool secure) const;
  // Nullopt: the broker is to ask.
  std::optional<Identity> known_identity() const;
  void opened(ConnectionId id, const net::HttpRequest& request, std::string address, bool secure);
  void closed(ConnectionId id) { requests_.erase(id); }
  void ask(effect::Authenticate question);

  static auth::Request request_of(const net::HttpRequest& request, std::string address,
                                  bool secure);

 private:
  Authenticator& authenticator_;
  const auth::OriginPolicy& origins_;
  Post post_;
  Answered answered_;
  std::unordered_map<ConnectionId, auth::Request> requests_;
};

}  // namespace conat::server
