#include "net/static_files.hpp"

#include <openssl/evp.h>

#include <array>
#include <fstream>

namespace conat::net {
namespace {

struct TypeEntry {
  std::string_view suffix;
  std::string_view type;
};

constexpr TypeEntry content_types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".wasm", "application/wasm"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".webp", "image/webp"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".woff", "font/woff"},
    {".txt", "text/plain; charset=utf-8"},
    {".md", "text/plain; charset=utf-8"},
    {".ts", "text/plain; charset=utf-8"},
};

// The first half of the SHA-256, in hexadecimal.
std::string digest_of(ByteView data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(data.data(), data.size(), digest.data(), &size, EVP_sha256(), nullptr);
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size / 2; ++i) {
    text.push_back(digits[digest[i] >> 4]);
    text.push_back(digits[digest[i] & 15]);
  }
  return text;
}

// "*", or a list that holds the tag, weak or not.
bool matches_etag(std::string_view if_none_match, std::string_view etag) {
  if (if_none_match == "*") return true;
  return !if_none_match.empty() && if_none_match.find(etag) != std::string_view::npos;
}

// The build puts a digest into the names of what it collects under assets/: such a name never
// stands for other content.
bool is_immutable(std::string_view path) { return path.substr(0, 8) == "/assets/"; }

Result<Bytes> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  Bytes bytes(static_cast<std::size_t>(std::max<std::streamoff>(file.tellg(), 0)));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file) return Error(ErrorKind::invalid_argument, "cannot read " + path.string());
  return bytes;
}

}  // namespace

std::string_view content_type_of(std::string_view path) {
  for (const auto& entry : content_types) {
    if (path.size() < entry.suffix.size()) continue;
    if (equal_ignoring_case(path.substr(path.size() - entry.suffix.size()), entry.suffix)) {
      return entry.type;
    }
  }
  return "application/octet-stream";
}

void StaticFiles::add(std::string path, ByteView data) {
  File file;
  file.data = data;
  file.content_type = std::string(content_type_of(path));
  file.etag = '"' + digest_of(data) + '"';
  file.immutable = is_immutable(path);
  files_.insert_or_assign(std::move(path), std::move(file));
}

Status StaticFiles::add_directory(const std::filesystem::path& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::uintmax_t total = 0;
  for (auto entry = fs::recursive_directory_iterator(directory, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (!entry->is_regular_file(error)) continue;
    total += entry->file_size(error);
    if (total > max_total_bytes) {
      return Error(ErrorKind::invalid_argument, "more files than can be served from memory");
    }
    auto content = read_file(entry->path());
    if (!content) return content.error();
    const std::string path = "/" + entry->path().lexically_relative(directory).generic_string();
    add(path, *content);
    File& file = files_.find(path)->second;
    file.owned = std::move(*content);
    file.data = file.owned;
  }
  if (error) return Error(ErrorKind::invalid_argument, error.message());
  return Nothing{};
}

HttpResponse StaticFiles::get(const HttpRequest& request, std::string_view path) const {
  std::string name(path);
  if (name.empty() || name.back() == '/') name += "index.html";
  const auto found = files_.find(name);
  if (found == files_.end()) return HttpResponse::text(404, "not found\n");
  const File& file = found->second;
  HttpResponse response;
  response.headers.emplace_back("ETag", file.etag);
  response.headers.emplace_back(
      "Cache-Control", file.immutable ? "public, max-age=31536000, immutable" : "no-cache");
  if (matches_etag(request.header("If-None-Match"), file.etag)) {
    response.status = 304;
    return response;
  }
  response.content_type = file.content_type;
  response.static_body = file.data;
  return response;
}

}  // namespace conat::net
