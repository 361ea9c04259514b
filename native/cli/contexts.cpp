#include "cli/contexts.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/files.hpp"
#include "client/server_address.hpp"
#include "conat/wire/codec.hpp"

namespace conat::cli {
namespace {

constexpr const char* kDefaultServer = "http://127.0.0.1:8080";
constexpr std::size_t kMaxFileBytes = 16u << 20;

Error file_error(const std::string& what) { return Error(ErrorKind::internal, what); }

Context context_of(const Value& value) {
  const auto text = [&value](const char* field) {
    const Value* found = value.find(field);
    return found == nullptr ? std::string() : std::string(found->text_or({}));
  };
  Context context;
  context.server = text("server");
  context.token = text("token");
  context.cookie = text("cookie");
  context.system_password = text("system_password");
  context.inbox_prefix = text("inbox_prefix");
  context.ca_file = text("ca_file");
  if (const Value* auth = value.find("auth")) context.auth = *auth;
  if (const Value* insecure = value.find("insecure")) context.insecure = insecure->bool_or(false);
  return context;
}

Value value_of(const Context& context) {
  Value value(Value::Map{{"server", Value(context.server)}});
  const auto add = [&value](const char* field, const std::string& text) {
    if (!text.empty()) value.set(field, Value(text));
  };
  add("token", context.token);
  add("cookie", context.cookie);
  add("system_password", context.system_password);
  add("inbox_prefix", context.inbox_prefix);
  add("ca_file", context.ca_file);
  if (!context.auth.is_null()) value.set("auth", context.auth);
  if (context.insecure) value.set("insecure", Value(true));
  return value;
}

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(descriptor, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return ::fsync(descriptor) == 0;
}

bool same_server(const std::string& a, const std::string& b) {
  const auto first = native::parse_server_address(a);
  const auto second = native::parse_server_address(b);
  return first.ok() && second.ok() && first->url() == second->url();
}

}  // namespace

bool Context::has_credentials() const {
  return !auth.is_null() || !token.empty() || !cookie.empty() || !system_password.empty();
}

Value Context::auth_object() const {
  Value object = auth;
  if (!token.empty()) object.set("token", Value(token));
  return object;
}

std::string Context::cookie_header() const {
  if (system_password.empty()) return cookie;
  return (cookie.empty() ? "" : cookie + "; ") + "sys=" + system_password;
}

Result<std::string> ContextFile::default_path() {
  const char* const config = std::getenv("XDG_CONFIG_HOME");
  // The specification of that variable: a relative path is to be ignored.
  if (config != nullptr && config[0] == '/') return std::string(config) + "/conat/contexts.json";
  const char* const home = std::getenv("HOME");
  if (home == nullptr || *home == '\0')
    return file_error("neither XDG_CONFIG_HOME nor HOME is set");
  return std::string(home) + "/.config/conat/contexts.json";
}

Result<ContextFile> ContextFile::load(const std::string& path) {
  ContextFile file;
  file.path_ = path;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return file;
  const Result<std::string> text = read_file(path, kMaxFileBytes);
  if (!text.ok()) return text.error();
  const Result<Value> value = decode_json(*text);
  const Value* contexts = value.ok() ? value->find("contexts") : nullptr;
  if (contexts == nullptr || contexts->if_map() == nullptr) {
    return file_error(path + " is damaged: move it away and add your contexts again");
  }
  for (const auto& [name, context] : *contexts->if_map()) {
    file.contexts_.emplace_back(name, context_of(context));
  }
  if (const Value* current = value->find("current")) {
    file.current_ = std::string(current->text_or({}));
  }
  return file;
}

Status ContextFile::save() const {
  Value::Map contexts;
  for (const auto& [name, context] : contexts_) contexts.emplace_back(name, value_of(context));
  Value::Map whole{{"current", current_.empty() ? Value() : Value(current_)},
                   {"contexts", Value(std::move(contexts))}};
  const std::filesystem::path directory = std::filesystem::path(path_).parent_path();
  std::error_code error;
  if (std::filesystem::create_directories(directory, error)) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  }
  std::string temporary = path_ + ".XXXXXX";
  const int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC);  // for its owner alone
  if (descriptor < 0) return file_error("cannot write " + temporary + ": " + std::strerror(errno));
  const bool written = write_all(descriptor, encode_json(Value(std::move(whole))) + "\n");
  ::close(descriptor);
  if (!written || ::rename(temporary.c_str(), path_.c_str()) != 0) {
    const std::string why = std::strerror(errno);
    ::unlink(temporary.c_str());
    return file_error("cannot write " + path_ + ": " + why);
  }
  return Nothing{};
}

const Context* ContextFile::find(const std::string& name) const {
  for (const auto& [each, context] : contexts_) {
    if (each == name) return &context;
  }
  return nullptr;
}

void ContextFile::set(const std::string& name, Context context) {
  for (auto& [each, old] : contexts_) {
    if (each == name) {
      old = std::move(context);
      return;
    }
  }
  contexts_.emplace_back(name, std::move(context));
}

bool ContextFile::use(const std::string& name) {
  if (find(name) == nullptr) return false;
  current_ = name;
  return true;
}

bool ContextFile::remove(const std::string& name) {
  const std::size_t removed =
      std::erase_if(contexts_, [&name](const auto& each) { return each.first == name; });
  if (current_ == name) current_.clear();
  return removed > 0;
}

Result<Context> resolve_context(const Context& given, const std::string& name) {
  Context result = given;
  const Result<std::string> path = ContextFile::default_path();
  if (path.ok()) {
    const Result<ContextFile> file = ContextFile::load(*path);
    if (!file.ok()) return file.error();
    const std::string& wanted = name.empty() ? file->current() : name;
    const Context* saved = wanted.empty() ? nullptr : file->find(wanted);
    if (saved == nullptr && !wanted.empty()) {
      return Error(ErrorKind::not_found, "there is no context '" + wanted + "'");
    }
    if (saved != nullptr && (given.server.empty() || same_server(given.server, saved->server))) {
      result = *saved;
      if (given.has_credentials()) {
        result.auth = given.auth;
        result.token = given.token;
        result.cookie = given.cookie;
        result.system_password = given.system_password;
        result.inbox_prefix.clear();  // somebody else's
      }
      if (!given.inbox_prefix.empty()) result.inbox_prefix = given.inbox_prefix;
      if (!given.ca_file.empty()) result.ca_file = given.ca_file;
      result.insecure = result.insecure || given.insecure;
    }
  } else if (!name.empty()) {
    return path.error();
  }
  if (result.server.empty()) result.server = kDefaultServer;
  return result;
}

}  // namespace conat::cli
