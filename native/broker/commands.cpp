#include "broker/commands.hpp"

#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

#include "auth/crypto.hpp"
#include "auth/encoding.hpp"
#include "auth/password_hash.hpp"
#include "auth/user_claims.hpp"
#include "conat/wire/codec.hpp"

namespace conat::server {
namespace {

constexpr std::size_t token_bytes = 24;

// The terminal shows nothing of what is typed while this lives.
class WithoutEcho {
 public:
  WithoutEcho() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  ~WithoutEcho() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  WithoutEcho(const WithoutEcho&) = delete;
  WithoutEcho& operator=(const WithoutEcho&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

Error wrong(std::string text) { return Error(ErrorKind::invalid_argument, std::move(text)); }

std::string ask(const char* prompt) {
  const WithoutEcho silent;
  std::fprintf(stderr, "%s: ", prompt);
  std::string line;
  std::getline(std::cin, line);
  std::fputc('\n', stderr);
  return line;
}

Result<std::string> read_password() {
  std::string password;
  if (::isatty(STDIN_FILENO) == 1) {
    password = ask("Password");
    if (password != ask("Again")) return wrong("these are two different passwords");
  } else {
    std::getline(std::cin, password);
  }
  if (password.empty()) return wrong("the password is empty");
  if (password.size() > auth::max_password_bytes) {
    return wrong("the password is longer than " + std::to_string(auth::max_password_bytes) +
                 " bytes");
  }
  return password;
}

// The line of the users file, but for what the user shows.
Result<Value> start_of_line(const CommandLine& line) {
  Value user;
  user.set("account_id", line.user_name);
  if (!line.user.empty()) {
    Result<Value> given = decode_json(line.user);
    if (!given) return wrong("the user must be JSON, such as {\"account_id\":\"...\"}");
    user = std::move(*given);
  }
  Result<Value> read = auth::read_user(user);
  if (!read) return wrong("the user " + line.user + ": " + read.error().text);
  Value start;
  start.set("name", line.user_name);
  start.set("user", std::move(*read));
  return start;
}

Result<Value> whole_line(const CommandLine& line) {
  Result<Value> made = start_of_line(line);
  if (!made) return made;
  if (line.make_token) {
    const std::string token = auth::encode_base64url(auth::random_bytes(token_bytes));
    std::fprintf(stderr, "%s\n", token.c_str());
    made->set("token", auth::stored_token(token));
    return made;
  }
  Result<std::string> password = read_password();
  if (!password) return password.error();
  made->set("password", auth::PasswordHash::of(*password).text());
  auth::wipe(*password);
  return made;
}

}  // namespace

int hash_password(const CommandLine& line) {
  const Result<Value> made = whole_line(line);
  if (!made) {
    std::fprintf(stderr, "conatd: %s\n", made.error().text.c_str());
    return exit_cannot_start;
  }
  std::string text;
  encode_json(*made, text);
  std::printf("%s\n", text.c_str());
  return 0;
}

}  // namespace conat::server
