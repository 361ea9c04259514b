#include "conat/base/result.hpp"

namespace conat {
namespace {

struct Entry {
  int number;
  const char* word;
  const char* text;
};

constexpr Entry kEntries[] = {
#define CONAT_ERROR(name, number, word, text) {number, word, text},
#include "conat/base/errors.def"
#undef CONAT_ERROR
};

const Entry& entry(ErrorKind kind) { return kEntries[static_cast<std::size_t>(kind)]; }

}  // namespace

Error::Error(ErrorKind kind) : Error(kind, entry(kind).text) {}

Error::Error(ErrorKind kind, std::string message)
    : code{entry(kind).number, entry(kind).word}, text(std::move(message)) {}

Error::Error(ErrorCode wire_code, std::string message)
    : code(std::move(wire_code)), text(std::move(message)) {}

}  // namespace conat
