// The page's files, built into the program (embed_files.cmake writes the definition).
//
// Thread safety: immutable.
#pragma once

#include <span>
#include <string_view>

#include "conat/base/bytes.hpp"

namespace conat::server {

struct BuiltInFile {
  std::string_view path;  // begins with '/'
  ByteView data;
};

std::span<const BuiltInFile> built_in_files();

}  // namespace conat::server
