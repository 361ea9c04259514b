// One event loop on one thread: Asio's io_context, the buffers its streams share, and the notion of
// a turn.
//
// A turn is the handling of everything that was ready at once. What streams have to write is
// collected during a turn and written at its end, so that many small messages leave with one system
// call. Idle streams hold no buffers: reading and writing go through the two buffers here.
//
// Thread safety: everything but post() belongs to the thread that calls run().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "conat/base/time.hpp"
#include "net/asio.hpp"

namespace conat::net {

class Stream;

struct LoopCounters {
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t reads = 0;   // system calls that brought bytes
  std::uint64_t writes = 0;  // system calls that took bytes
};

class Loop {
 public:
  // One read takes at most this much. More makes turns longer without saving system calls.
  static constexpr std::size_t read_buffer_bytes = 256 * 1024;
  // Small buffers that wait behind each other are joined in here for one write.
  static constexpr std::size_t write_buffer_bytes = 256 * 1024;
  // One read decrypted, and a TLS record that began before it.
  static constexpr std::size_t plain_buffer_bytes = read_buffer_bytes + 32 * 1024;

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  asio::io_context& context() { return context_; }
  // Monotonic milliseconds, the same clock in every loop of the process.
  static TimeMs now();

  // Runs until stop(). Call both in any thread, run() only once.
  void run();
  void stop() { context_.stop(); }
  // Runs `task` on the loop's thread, soon. Any thread.
  template <class Task>
  void post(Task&& task) {
    asio::post(context_, std::forward<Task>(task));
  }

  // `hook` runs at the end of each requested turn, before the streams are flushed.
  void set_turn_end(std::function<void()> hook) { turn_end_ = std::move(hook); }
  void request_turn_end();

  // Stops all streams from reading, until release_reads(): for when what they bring cannot be
  // passed on. Each that has something to read waits in a list.
  void hold_reads() { reads_held_ = true; }
  void release_reads();
  bool reads_held() const { return reads_held_; }

  const LoopCounters& counters() const { return counters_; }
  // Streams that are not closed yet.
  std::size_t streams() const { return streams_; }
  // `hook` runs once, soon after the last stream has closed (or if there is none).
  void when_no_streams(std::function<void()> hook);

  // For streams.
  std::span<std::uint8_t> read_buffer() { return read_buffer_; }
  std::span<std::uint8_t> write_buffer() { return write_buffer_; }
  // For what one read brought when it is decrypted; there from the first use on.
  std::span<std::uint8_t> plain_buffer();
  LoopCounters& count() { return counters_; }
  void stream_opened() { ++streams_; }
  void stream_closed();
  void hold(std::shared_ptr<Stream> stream);
  void flush_at_turn_end(std::shared_ptr<Stream> stream);
  // Closes the stream when it is still open at `until`; calls come in the order of `until`.
  void close_at(TimeMs until, std::shared_ptr<Stream> stream);

 private:
  void end_turn();
  void arm_close_timer();

  // Destroying the context destroys the handlers in it, and with them the last streams, which
  // report to the members up to here: so those come before it.
  std::vector<std::uint8_t> read_buffer_;
  std::vector<std::uint8_t> write_buffer_;
  std::vector<std::uint8_t> plain_buffer_;
  LoopCounters counters_;
  std::size_t streams_ = 0;
  std::function<void()> no_streams_;

  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::function<void()> turn_end_;
  bool turn_end_requested_ = false;
  std::vector<std::shared_ptr<Stream>> dirty_;
  std::vector<std::shared_ptr<Stream>> flushing_;
  bool reads_held_ = false;
  std::vector<std::shared_ptr<Stream>> held_;

  struct Closing {
    TimeMs until;
    std::weak_ptr<Stream> stream;
  };
  std::deque<Closing> closing_;
  Timer close_timer_;
  bool close_timer_armed_ = false;
};

}  // namespace conat::net
