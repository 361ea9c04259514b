#include "storage/compression.hpp"

#include <zstd.h>

#include <algorithm>
#include <memory>

namespace conat::storage {
namespace {

// Level 1 is as fast as the disk and finds most of what there is in small messages.
constexpr int kLevel = 1;
constexpr std::size_t kGrowth = 256 * 1024;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

ZSTD_CCtx* compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  return context.get();
}

ZSTD_DCtx* decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  return context.get();
}

Error damaged() { return {ErrorKind::storage_failed, "storage failed: damaged message"}; }

}  // namespace

bool compress(ByteView raw, Bytes& out) {
  ZSTD_CCtx* const context = compressor();
  if (context == nullptr) return false;
  out.resize(ZSTD_compressBound(raw.size()));
  const std::size_t size =
      ZSTD_compressCCtx(context, out.data(), out.size(), raw.data(), raw.size(), kLevel);
  if (ZSTD_isError(size) != 0 || size >= raw.size()) return false;
  out.resize(size);
  return true;
}

// Streaming, because other writers may leave the size out of the frame.
Result<Bytes> decompress(ByteView compressed, std::size_t max_bytes) {
  ZSTD_DCtx* const context = decompressor();
  if (context == nullptr) return Error(ErrorKind::storage_failed, "storage failed: no memory");
  ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
  const unsigned long long told = ZSTD_getFrameContentSize(compressed.data(), compressed.size());
  if (told == ZSTD_CONTENTSIZE_ERROR) return damaged();
  const bool known = told != ZSTD_CONTENTSIZE_UNKNOWN && told <= max_bytes;
  Bytes out(known ? static_cast<std::size_t>(told) : std::min(kGrowth, max_bytes));
  ZSTD_inBuffer input{compressed.data(), compressed.size(), 0};
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  for (;;) {
    const std::size_t read_before = input.pos;
    const std::size_t written_before = output.pos;
    const std::size_t hint = ZSTD_decompressStream(context, &output, &input);
    if (ZSTD_isError(hint) != 0) return damaged();
    if (hint == 0 && input.pos == input.size) break;
    if (output.pos == output.size) {
      if (out.size() >= max_bytes) return damaged();
      out.resize(std::min(max_bytes, out.size() + std::max(kGrowth, out.size())));
      output.dst = out.data();
      output.size = out.size();
    } else if (input.pos == read_before && output.pos == written_before) {
      return damaged();  // cut off
    }
  }
  out.resize(output.pos);
  return out;
}

}  // namespace conat::storage
