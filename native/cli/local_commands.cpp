// context, completion: what needs no server.
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "client/server_address.hpp"
#include "conat/wire/codec.hpp"

namespace conat::cli {
namespace {

int say(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0 ? exit_ok : exit_error;
}

int refuse(const std::string& text) {
  std::fprintf(stderr, "conat: %s\n", text.c_str());
  return exit_error;
}

// What kinds there are; never what they are.
std::vector<std::string> credentials(const Context& context) {
  std::vector<std::string> kinds;
  if (!context.auth.is_null()) kinds.emplace_back("auth");
  if (!context.token.empty()) kinds.emplace_back("token");
  if (!context.cookie.empty()) kinds.emplace_back("cookie");
  if (!context.system_password.empty()) kinds.emplace_back("system-password");
  return kinds;
}

int list(const Options& options, const ContextFile& file) {
  std::vector<std::vector<std::string>> rows{{"", "NAME", "SERVER", "CREDENTIALS"}};
  std::string names;
  Value::Array json;
  for (const auto& [name, context] : file.all()) {
    names += name + "\n";
    const bool current = name == file.current();
    std::string shown;
    Value::Array kinds;
    for (const std::string& kind : credentials(context)) {
      shown += (shown.empty() ? "" : ", ") + kind;
      kinds.emplace_back(kind);
    }
    rows.push_back({current ? "*" : "", name, context.server, shown.empty() ? "none" : shown});
    json.emplace_back(Value::Map{{"name", Value(name)},
                                 {"server", Value(context.server)},
                                 {"credentials", Value(std::move(kinds))},
                                 {"current", Value(current)}});
  }
  if (options.names) return say(names);
  if (options.json) return say(encode_json(Value(std::move(json))) + "\n");
  if (file.all().empty()) return say("");
  return say(table(rows));
}

}  // namespace

int context_command(const Options& options) {
  const Result<std::string> path = ContextFile::default_path();
  if (!path.ok()) return refuse(path.error().text);
  Result<ContextFile> file = ContextFile::load(*path);
  if (!file.ok()) return refuse(file.error().text);
  switch (options.command) {
    case Command::context_list:
      return list(options, *file);
    case Command::context_add: {
      Context context = options.connection;
      if (context.server.empty()) {
        return refuse("context add needs --server (or CONAT_SERVER)"), exit_usage;
      }
      file->set(options.name, std::move(context));
      if (options.use) file->use(options.name);
      break;
    }
    case Command::context_use:
      if (!file->use(options.name)) return refuse("there is no context '" + options.name + "'");
      break;
    default:
      if (!file->remove(options.name)) return refuse("there is no context '" + options.name + "'");
      break;
  }
  const Status saved = file->save();
  return saved.ok() ? exit_ok : refuse(saved.error().text);
}

int completion_command(const Options& options) { return say(completion_script(options.name)); }

}  // namespace conat::cli
