// How far a long transfer is, on standard error; silent unless that is a terminal.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cli/session.hpp"

namespace conat::cli {

class Progress {
 public:
  enum class Direction : std::uint8_t { sending, receiving };

  // `total_bytes` 0: not known. Shown from half a second on; gone with this object.
  Progress(Session& session, Direction direction, std::uint64_t total_bytes);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // What is shown, for tests.
  static std::string line(Direction direction, std::uint64_t bytes, std::uint64_t total_bytes);

 private:
  std::uint64_t bytes() const;
  void wait(Milliseconds delay);

  Session& session_;
  Direction direction_;
  std::uint64_t total_bytes_;
  std::uint64_t before_ = 0;
  bool shown_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // its timer may have run out already
  native::asio::steady_timer timer_;
};

}  // namespace conat::cli
