#include "cli/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/values.hpp"

namespace conat::cli {
namespace {

constexpr Milliseconds kFirst{500};
constexpr Milliseconds kNext{100};
constexpr const char* kEraseLine = "\r\033[K";

}  // namespace

Progress::Progress(Session& session, Direction direction, std::uint64_t total_bytes)
    : session_(session), direction_(direction), total_bytes_(total_bytes), timer_(session.loop()) {
  before_ = bytes();
  if (::isatty(STDERR_FILENO) == 1) wait(kFirst);
}

Progress::~Progress() {
  if (shown_) std::fputs(kEraseLine, stderr);
}

std::string Progress::line(Direction direction, std::uint64_t bytes, std::uint64_t total_bytes) {
  const std::string verb = direction == Direction::sending ? "sent " : "received ";
  if (total_bytes == 0) return verb + readable_bytes(bytes);
  // Framing makes it a little more.
  const std::uint64_t done = std::min(bytes, total_bytes);
  return verb + readable_bytes(done) + " of " + readable_bytes(total_bytes) + " (" +
         std::to_string(done * 100 / total_bytes) + "%)";
}

std::uint64_t Progress::bytes() const {
  const native::TransportTraffic traffic = session_.client().traffic();
  const std::uint64_t now = direction_ == Direction::sending ? traffic.written : traffic.read;
  return now > before_ ? now - before_ : 0;
}

void Progress::wait(Milliseconds delay) {
  timer_.expires_after(delay);
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](boost::system::error_code error) {
    if (error || alive.expired()) return;
    shown_ = true;
    std::fprintf(stderr, "%s%s", kEraseLine, line(direction_, bytes(), total_bytes_).c_str());
    wait(kNext);
  });
}

}  // namespace conat::cli
