// A TCP connection as a stream of bytes: reads into the loop's shared buffer, writes a queue of
// shared buffers at the end of the loop's turn.
//
// An open stream waits for readability without holding a buffer. close() is for a finished
// conversation: it writes what is queued, then says so to the peer and waits for the peer's end,
// both within a bounded time; abort() drops everything at once.
//
// Invariants: after close(), abort() or on_stream_closed() the owner hears nothing more. The owner
// outlives the stream or has called one of them. Thread safety: none, the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "conat/base/bytes.hpp"
#include "net/asio.hpp"
#include "net/loop.hpp"
#include "net/write_queue.hpp"

namespace conat::net {

class StreamOwner {
 public:
  // `bytes` lie in the loop's read buffer and may be changed in place; they are gone on return.
  virtual void on_stream_bytes(Stream& stream, std::span<std::uint8_t> bytes) = 0;
  // `bytes` of what was sent have left the queue.
  virtual void on_stream_written(Stream& stream, std::size_t bytes) = 0;
  // The peer has closed, or the connection broke.
  virtual void on_stream_closed(Stream& stream) = 0;

 protected:
  ~StreamOwner() = default;
};

class Stream final : public std::enable_shared_from_this<Stream> {
 public:
  Stream(Loop& loop, Socket socket, StreamOwner& owner);
  ~Stream();

  // The next callbacks go to `owner`; `tag` is the owner's name for this stream.
  void set_owner(StreamOwner& owner, std::uint64_t tag);
  std::uint64_t tag() const { return tag_; }
  // Of the peer, without the port.
  std::string address() const;

  void start_reading();
  void pause_reading() { paused_ = true; }
  void resume_reading();

  // Queues; written at the end of the turn. Ignored after close() or abort().
  void send(SharedBytes bytes);
  bool has_unsent() const { return !queue_.empty(); }
  std::size_t unsent_bytes() const { return queue_.bytes(); }

  // Writes what is queued, then closes; `linger_ms` bounds both together.
  void close(TimeMs linger_ms);
  // As close(), but of what is queued only a begun buffer is finished, and the last one sent if
  // `keep_last` says so: to tell a peer that reads too slowly why it is cut off.
  void close_dropping(TimeMs linger_ms, bool (*keep_last)(const SharedBytes&));
  void abort();
  bool is_open() const { return state_ == State::open; }

  // For the loop.
  void flush();
  void resume_held();

 private:
  enum class State : std::uint8_t {
    open,
    flushing,     // close() was called: writing the rest
    half_closed,  // our end is closed: waiting for the peer's, dropping what it sends
    closed,
  };

  void wait_for_bytes();
  void on_readable();
  void wait_for_room();
  void mark_dirty();
  void begin_close(TimeMs linger_ms);
  void half_close();
  void lost();
  void release();

  Loop& loop_;
  Socket socket_;
  StreamOwner* owner_;
  std::uint64_t tag_ = 0;
  WriteQueue queue_;
  State state_ = State::open;
  bool waiting_for_bytes_ = false;
  bool waiting_for_room_ = false;
  bool dirty_ = false;
  bool paused_ = false;
};

}  // namespace conat::net
