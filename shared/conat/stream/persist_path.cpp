// Who may open which path, and which server serves whom.
#include <cstdlib>
#include <string>
#include <string_view>

#include "conat/base/limits.hpp"
#include "conat/stream/persist_scope.hpp"
#include "conat/stream/persist_server.hpp"

namespace conat {
namespace {

constexpr std::size_t kIdBytes = 36;

Error denied(std::string text) {
  return Error(ErrorKind::permission_denied, "permission denied: " + std::move(text));
}

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

// As POSIX path normalization leaves it: no empty component, none that is "." or "..".
bool is_normalized(std::string_view path) {
  std::size_t start = 0;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view component = path.substr(start, end - start);
    if (component.empty() || component == "." || component == "..") return false;
    start = end + 1;
  }
  return true;
}

// The directory below which a scope may write; empty for the hub, which may write anywhere.
Result<std::string> base_directory(std::string_view scope) {
  if (scope == "hub") return std::string();
  for (const std::string_view kind : {std::string_view("account"), std::string_view("project")}) {
    if (scope.size() != kind.size() + 1 + kIdBytes) continue;
    if (scope.substr(0, kind.size()) != kind || scope[kind.size()] != '-') continue;
    const std::string_view id = scope.substr(kind.size() + 1);
    const bool usable = id.find('/') == std::string_view::npos && id.find('\0') == id.npos;
    if (usable) return std::string(kind) + "s/" + std::string(id) + "/";
  }
  return Error(ErrorKind::permission_denied, "invalid subject");
}

// Calls `visit` with each UTF-16 unit of UTF-8 text; what is no UTF-8 counts byte by byte.
template <class Visit>
void each_utf16_unit(std::string_view text, Visit&& visit) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned lead = byte(i);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (length == 1 || lead < 0xC2 || lead > 0xF4 || i + length > text.size()) {
      visit(lead);
      ++i;
      continue;
    }
    unsigned point = lead & (0x7Fu >> length);
    for (std::size_t k = 1; k < length; ++k) point = (point << 6) | (byte(i + k) & 0x3Fu);
    i += length;
    if (point >= 0x10000) {
      point -= 0x10000;
      visit(0xD800 + (point >> 10));
      visit(0xDC00 + (point & 0x3FF));
    } else {
      visit(point);
    }
  }
}

}  // namespace

Status check_storage_path(std::string_view scope, std::string_view path, std::string_view subject) {
  const Result<std::string> base = base_directory(scope);
  if (!base) return base.error();
  if (path.size() > limits::max_storage_path_bytes) {
    return denied("path is longer than " + std::to_string(limits::max_storage_path_bytes) +
                  " bytes");
  }
  if (!path.empty() && (path.front() == '/' || path.back() == '/')) {
    return denied("path " + quoted(path) + " must not start or end with '/'");
  }
  if (!is_normalized(path)) return denied("path " + quoted(path) + " is not normalized");
  if (path.substr(0, base->size()) == *base) return Nothing{};
  const std::string named =
      subject.empty() ? "persist." + std::string(scope) : std::string(subject);
  return denied("subject " + quoted(named) + " does not grant write permission to path=" +
                quoted(path) + " since it is not under " + quoted(*base));
}

std::size_t persist_server_index(std::string_view scope, std::size_t count) {
  if (count == 0) return 0;
  std::uint32_t hash = 0;
  each_utf16_unit(scope, [&](unsigned unit) { hash = hash * 31u + unit; });
  const std::int64_t value = static_cast<std::int32_t>(hash);
  return static_cast<std::size_t>(std::llabs(value)) % count;
}

namespace persist_parts {

Result<std::string> scope_of(std::string_view subject, std::string_view service) {
  const Error invalid(ErrorKind::permission_denied, "invalid subject");
  const std::size_t first = subject.find('.');
  if (first == std::string_view::npos || subject.substr(0, first) != service) return invalid;
  const std::size_t second = std::min(subject.find('.', first + 1), subject.size());
  std::string scope(subject.substr(first + 1, second - first - 1));
  const Result<std::string> base = base_directory(scope);
  if (!base) return base.error();
  return scope;
}

}  // namespace persist_parts
}  // namespace conat
