#include "net/loop.hpp"

#include "net/stream.hpp"

namespace conat::net {

// The scheduler takes posts from other threads; sockets and timers are used on one thread only, so
// their locks are left out.
Loop::Loop()
    : read_buffer_(read_buffer_bytes),
      write_buffer_(write_buffer_bytes),
      context_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      work_(context_.get_executor()),
      close_timer_(context_) {}

Loop::~Loop() {
  no_streams_ = nullptr;
  // Their sockets must go before the context.
  dirty_.clear();
  held_.clear();
}

TimeMs Loop::now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::span<std::uint8_t> Loop::plain_buffer() {
  if (plain_buffer_.empty()) plain_buffer_.resize(plain_buffer_bytes);
  return plain_buffer_;
}

void Loop::run() { context_.run(); }

void Loop::request_turn_end() {
  if (turn_end_requested_) return;
  turn_end_requested_ = true;
  asio::post(context_, [this] { end_turn(); });
}

void Loop::flush_at_turn_end(std::shared_ptr<Stream> stream) {
  dirty_.push_back(std::move(stream));
  request_turn_end();
}

void Loop::end_turn() {
  turn_end_requested_ = false;
  if (turn_end_) turn_end_();
  // Flushing may make streams dirty again: those wait for the next turn.
  flushing_.swap(dirty_);
  for (const auto& stream : flushing_) stream->flush();
  flushing_.clear();
}

// ---- holding reads ----

void Loop::hold(std::shared_ptr<Stream> stream) { held_.push_back(std::move(stream)); }

void Loop::release_reads() {
  reads_held_ = false;
  // Reading may fill up what was full and hold the rest again.
  std::vector<std::shared_ptr<Stream>> held;
  held.swap(held_);
  for (const auto& stream : held) stream->resume_held();
}

// ---- the end of streams ----

void Loop::stream_closed() {
  if (--streams_ == 0 && no_streams_) asio::post(context_, std::exchange(no_streams_, nullptr));
}

void Loop::when_no_streams(std::function<void()> hook) {
  if (streams_ == 0) {
    asio::post(context_, std::move(hook));
  } else {
    no_streams_ = std::move(hook);
  }
}

void Loop::close_at(TimeMs until, std::shared_ptr<Stream> stream) {
  closing_.push_back({until, stream});
  if (!close_timer_armed_) arm_close_timer();
}

void Loop::arm_close_timer() {
  close_timer_armed_ = true;
  close_timer_.expires_at(
      std::chrono::steady_clock::time_point(std::chrono::milliseconds(closing_.front().until)));
  close_timer_.async_wait([this](error_code error) {
    close_timer_armed_ = false;
    if (error) return;
    const TimeMs time = now();
    while (!closing_.empty() && closing_.front().until <= time) {
      if (auto stream = closing_.front().stream.lock()) stream->abort();
      closing_.pop_front();
    }
    if (!closing_.empty()) arm_close_timer();
  });
}

}  // namespace conat::net
