// A TCP connection as a stream of bytes: reads into the loop's shared buffer, writes a queue of
// shared buffers at the end of the loop's turn.
//
// With a TlsChannel the bytes travel encrypted: what one turn writes is joined into large records.
// A plain stream writes its buffers from where they are.
//
// An open stream waits for readability without holding a buffer. close() is for a finished
// conversation: it writes what is queued, then says so to the peer and waits for the peer's end,
// both within a bounded time; abort() drops everything at once.
//
// Invariants: after close(), abort() or on_stream_closed() the owner hears nothing more. The owner
// outlives the stream or has called one of them. Thread safety: none, the loop's thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "conat/base/bytes.hpp"
#include "net/asio.hpp"
#include "net/compression_filter.hpp"
#include "net/loop.hpp"
#include "net/tls_channel.hpp"
#include "net/write_queue.hpp"

namespace conat::net {

class StreamOwner {
 public:
  // `bytes` lie in a buffer of the loop and may be changed in place; they are gone on return.
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
  // `tls` null: plain.
  Stream(Loop& loop, Socket socket, StreamOwner& owner, std::unique_ptr<TlsChannel> tls = nullptr);
  ~Stream();

  // The next callbacks go to `owner`; `tag` is the owner's name for this stream.
  void set_owner(StreamOwner& owner, std::uint64_t tag);
  std::uint64_t tag() const { return tag_; }
  // Of the peer, without the port; unspecified and empty when it has gone.
  asio::ip::address peer() const;
  std::string address() const;

  // For the owner of a compressed WebSocket: what stands between these bytes and its frames.
  void set_filter(std::unique_ptr<CompressionFilter> filter) { filter_ = std::move(filter); }
  CompressionFilter* filter() const { return filter_.get(); }

  void start_reading();
  void pause_reading() { paused_ = true; }
  bool is_paused() const { return paused_; }
  void resume_reading();

  // Queues; written at the end of the turn. Ignored after close() or abort().
  void send(SharedBytes bytes);
  bool has_unsent() const { return unsent_bytes() > 0; }
  // That the owner has not been told of as written.
  std::size_t unsent_bytes() const { return queue_.bytes() + encrypted_bytes_; }
  bool is_tls() const { return tls_ != nullptr; }

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
  void receive(std::span<std::uint8_t> bytes);
  void receive_encrypted(ByteView bytes);
  void wait_for_room();
  void mark_dirty();
  bool write_queue(std::size_t& written);
  bool write_encrypted(std::size_t& written);
  bool write_unsent_records(std::size_t& written);
  std::optional<std::size_t> write_some(const msghdr& message);
  bool is_drained() const { return queue_.empty() && !(tls_ && tls_->has_unsent()); }
  void begin_close(TimeMs linger_ms);
  void half_close();
  void lost();
  void release();

  Loop& loop_;
  Socket socket_;
  StreamOwner* owner_;
  std::uint64_t tag_ = 0;
  WriteQueue queue_;
  std::unique_ptr<TlsChannel> tls_;
  std::unique_ptr<CompressionFilter> filter_;
  std::size_t encrypted_bytes_ = 0;  // plain text of the records that are not written yet
  State state_ = State::open;
  bool waiting_for_bytes_ = false;
  bool waiting_for_room_ = false;
  bool dirty_ = false;
  bool paused_ = false;
};

}  // namespace conat::net
