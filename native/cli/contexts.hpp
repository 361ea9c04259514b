// Servers with their credentials, saved by name.
//
// One JSON file, readable by its owner alone: {"current": name, "contexts": {name: {...}}}.
// Secrets are in it in clear text and are never printed. Thread safety: plain values; two programs
// that save at the same time: the last one wins, whole.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conat/base/result.hpp"
#include "conat/base/value.hpp"

namespace conat::cli {

// A server, and who one is there.
struct Context {
  std::string server;
  Value auth;                   // Socket.IO's auth object; null: none
  std::string token;            // {"token": ...}
  std::string cookie;           // "name=value; ..."
  std::string system_password;  // of the system account
  std::string inbox_prefix;     // where answers go, as the user's permissions ask for
  std::string ca_file;          // trusted certificates, PEM
  bool insecure = false;        // any certificate will do

  bool has_credentials() const;
  // The auth object with the token in it; null: none.
  Value auth_object() const;
  // The Cookie header; empty: none.
  std::string cookie_header() const;
};

class ContextFile {
 public:
  // $XDG_CONFIG_HOME/conat/contexts.json, or below $HOME/.config.
  static Result<std::string> default_path();
  // A file that does not exist is an empty one. Error: it cannot be read, or makes no sense.
  static Result<ContextFile> load(const std::string& path);

  // Writes it whole, or not at all; directories are made.
  Status save() const;

  const Context* find(const std::string& name) const;
  const std::vector<std::pair<std::string, Context>>& all() const { return contexts_; }
  const std::string& current() const { return current_; }
  void set(const std::string& name, Context context);
  bool use(const std::string& name);     // false: there is none
  bool remove(const std::string& name);  // false: there is none

 private:
  std::string path_;
  std::string current_;
  std::vector<std::pair<std::string, Context>> contexts_;
};

// What to connect to: what was given, then the context called `name` (empty: the one in use), then
// the default. A context's credentials go to its own server only, and given ones replace them all.
// Error: there is no such context, or the file is broken.
Result<Context> resolve_context(const Context& given, const std::string& name);

}  // namespace conat::cli
