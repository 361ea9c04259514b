// All ways of authentication together, in one order, for one broker process.
//
//   1. The cookie `sys` with the system password: {hub_id: "system"}. A wrong one is refused.
//   2. Credentials (credentials.hpp says where they are looked for):
//      a token   of the users, by its digest; else, if it has the form of a JSON Web Token and
//      there
//                are keys for them, what the verifier says; else what the service says
//      a name and a password   of the users, if there is one of that name; else what the service
//      says
//   3. No credentials: what the service says, since it sees cookies and headers that mean nothing
//   to
//      us. If there is no service, or it refuses with 401: the anonymous user.
// What is not configured is left out; whoever nobody knows is refused with code 401.
//
// Thread safety: everything but close() from any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "auth/credentials.hpp"
#include "auth/http_callback.hpp"
#include "auth/jwt_verifier.hpp"
#include "auth/password_checker.hpp"
#include "auth/users.hpp"

namespace conat::auth {

struct ChainOptions {
  std::string system_password;       // empty: there is no system account
  std::filesystem::path users_file;  // empty: none
  std::vector<User> users;           // besides those of the file
  std::optional<JwtOptions> jwt;     // with at least one key file
  std::optional<HttpCallbackOptions> http;
  std::vector<std::string> token_cookies;  // names of cookies that may hold a token
  std::optional<Authenticated> anonymous;  // nullopt: without credentials nobody gets in
};

class Chain : public std::enable_shared_from_this<Chain> {
 public:
  using Done = std::function<void(Outcome)>;

  // Reads all files. `context` is where the service is asked from; see HttpCallback.
  static Result<std::shared_ptr<Chain>> open(boost::asio::io_context& context,
                                             ChainOptions options);
  ~Chain();

  // `done` is called once: at once on this thread if the answer is known, else later on another
  // one. Cookies of a page of a foreign origin must have been dropped from the request.
  void authenticate(const Request& request, UnixMs now, Done done);

  // Reads the users file and the keys again; what cannot be read stays as it was. The error's text
  // names the first file that is wrong.
  Status reload();
  // The same for files that have changed, cheap enough for every second; tells whether one had.
  Result<bool> reload_if_changed();
  // The users file and those of keys as they are now; see stamp_of().
  std::vector<FileStamp> stamps() const;
  // Whether what an identity rests on is still there.
  bool holds(const Grant& grant) const;

  // Ends questions to the service, on the context's thread (or when it does not run).
  void close();

  // nullptr if no service is configured.
  const HttpCallback* service() const { return http_.get(); }

 private:
  explicit Chain(ChainOptions options);
  std::shared_ptr<const Users> users() const;
  Status load_users();
  void with_token(const Credentials& shown, const Request& request, UnixMs now, Done done);
  void with_password(Credentials shown, const Request& request, Done done);
  void without_credentials(const Request& request, Done done);

  ChainOptions options_;
  std::unique_ptr<JwtVerifier> jwt_;
  std::shared_ptr<HttpCallback> http_;
  std::unique_ptr<PasswordChecker> passwords_;
  mutable std::mutex users_mutex_;  // held only to copy or replace the pointer
  std::shared_ptr<const Users> users_;
  std::mutex reload_mutex_;
  FileStamp users_stamp_;
};

}  // namespace conat::auth
