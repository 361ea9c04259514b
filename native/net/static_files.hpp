// Files served over HTTP from memory: those built into the program, or a directory read once at the
// start. A request is a look-up in a table, so no path can lead out of it.
//
// Thread safety: immutable after construction; shared by all threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "conat/base/bytes.hpp"
#include "conat/base/result.hpp"
#include "net/http_message.hpp"

namespace conat::net {

class StaticFiles {
 public:
  // A directory of more than this is refused.
  static constexpr std::uintmax_t max_total_bytes = 256u << 20;

  // `path` begins with '/'; `data` must outlive this.
  void add(std::string path, ByteView data);
  // Every regular file below `directory`. Error: invalid_argument.
  Status add_directory(const std::filesystem::path& directory);

  bool empty() const { return files_.empty(); }
  // The answer to a GET or HEAD of a decoded path: 200, 304, or 404. '/' at the end stands for its
  // index.html.
  HttpResponse get(const HttpRequest& request, std::string_view path) const;

 private:
  struct File {
    Bytes owned;
    ByteView data;
    std::string content_type;
    std::string etag;
    bool immutable;
  };

  std::map<std::string, File, std::less<>> files_;
};

std::string_view content_type_of(std::string_view path);

}  // namespace conat::net
