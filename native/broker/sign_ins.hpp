// The handshakes of one shard's connections, and the questions of its broker about them.
//
// What a client showed in its HTTP handshake is kept for as long as the connection lives: a client
// may CONNECT again on it, and a renewal may ask a service that wants to see all of it.
// Thread safety: none, the shard's thread; answers come through `post`.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/origin.hpp"
#include "broker/authenticator.hpp"
#include "broker/sign_in_counters.hpp"
#include "conat/broker/broker.hpp"
#include "net/http_message.hpp"

namespace conat::server {

class SignIns {
 public:
  using Post = std::function<void(std::function<void()>)>;
  struct Question {
    ConnectionId connection = 0;
    bool renewal = false;
    SignInMethod method = SignInMethod::nothing;
  };
  using Answered = std::function<void(const Question&, const auth::Outcome&)>;

  // All but the functions outlive this; `token_cookies` are names of cookies that may hold a token.
  // `post` runs a task on the shard's thread, from any; `answered` is called there.
  SignIns(Authenticator& authenticator, const auth::OriginPolicy& origins,
          const std::vector<std::string>& token_cookies, Post post, Answered answered);

  // Whether a page of this origin may connect. Without authentication those of this machine may.
  bool allows_origin(const net::HttpRequest& request, bool secure) const;
  // Nullopt: the broker is to ask.
  std::optional<Identity> known_identity() const;
  void opened(ConnectionId id, const net::HttpRequest& request, std::string address, bool secure);
  void closed(ConnectionId id);
  // What the identity that is in force now rests on.
  void granted(ConnectionId id, const std::optional<auth::Grant>& grant);
  // Those whose identity rests on what is not there any more. Looks at each.
  std::vector<ConnectionId> withdrawn() const;
  void ask(effect::Authenticate question);

  static auth::Request request_of(const net::HttpRequest& request, std::string address,
                                  bool secure);

 private:
  Authenticator& authenticator_;
  const auth::OriginPolicy& origins_;
  const std::vector<std::string>& token_cookies_;
  Post post_;
  Answered answered_;
  std::unordered_map<ConnectionId, auth::Request> requests_;
  std::unordered_map<ConnectionId, auth::Grant> grants_;
};

}  // namespace conat::server
