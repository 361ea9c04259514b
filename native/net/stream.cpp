#include "net/stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

namespace conat::net {
namespace {

// Reads of one stream before the others get their turn.
constexpr int reads_per_turn = 2;
// Writes of one stream before the others get their turn.
constexpr int writes_per_turn = 8;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

Stream::Stream(Loop& loop, Socket socket, StreamOwner& owner, std::unique_ptr<TlsChannel> tls)
    : loop_(loop), socket_(std::move(socket)), owner_(&owner), tls_(std::move(tls)) {
  loop_.stream_opened();
}

Stream::~Stream() { release(); }

void Stream::set_owner(StreamOwner& owner, std::uint64_t tag) {
  owner_ = &owner;
  tag_ = tag;
}

asio::ip::address Stream::peer() const {
  error_code error;
  const auto endpoint = socket_.remote_endpoint(error);
  return error ? asio::ip::address() : endpoint.address();
}

std::string Stream::address() const {
  const auto address = peer();
  return address.is_unspecified() ? std::string() : address.to_string();
}

// ---- reading ----

void Stream::start_reading() { wait_for_bytes(); }

void Stream::resume_reading() {
  paused_ = false;
  if (state_ == State::open) wait_for_bytes();
}

// Each wait looks at the socket anew, so bytes that were left unread are noticed at once.
void Stream::wait_for_bytes() {
  if (waiting_for_bytes_ || state_ == State::closed) return;
  waiting_for_bytes_ = true;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](error_code error) {
    self->waiting_for_bytes_ = false;
    if (!error) self->on_readable();
  });
}

void Stream::on_readable() {
  for (int reads = 0; state_ != State::closed; ++reads) {
    if (state_ == State::open && paused_) return;
    if (state_ == State::open && loop_.reads_held()) {
      waiting_for_bytes_ = true;  // as good as: the loop calls when reading may go on
      loop_.hold(shared_from_this());
      return;
    }
    if (reads == reads_per_turn) break;
    const auto buffer = loop_.read_buffer();
    const ssize_t count =
        ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && would_block(errno)) break;
    if (count <= 0) {
      lost();
      return;
    }
    const auto size = static_cast<std::size_t>(count);
    loop_.count().bytes_read += size;
    ++loop_.count().reads;
    if (state_ == State::open) receive(buffer.first(size));
    if (size < buffer.size()) break;
  }
  if (state_ == State::closed || (state_ == State::open && paused_)) return;
  wait_for_bytes();
}

void Stream::receive(std::span<std::uint8_t> bytes) {
  if (tls_) {
    receive_encrypted(bytes);
  } else {
    owner_->on_stream_bytes(*this, bytes);
  }
}

// All that one read brought is decrypted at once: it fits into the buffer, with what a record that
// began earlier adds to it.
void Stream::receive_encrypted(ByteView bytes) {
  const auto plain = loop_.plain_buffer();
  std::size_t filled = 0;
  tls_->feed(bytes);
  TlsChannel::Step step;
  do {
    std::size_t size = 0;
    step = tls_->read(plain.subspan(filled), size);
    filled += size;
  } while (step == TlsChannel::Step::bytes);
  if (filled > 0) owner_->on_stream_bytes(*this, plain.first(filled));
  if (state_ == State::closed) return;
  if (step == TlsChannel::Step::need_more) {
    // An answer of the handshake, or what has waited for its end.
    if (tls_->has_unsent() || (!queue_.empty() && tls_->is_ready())) mark_dirty();
    return;
  }
  // The end, for what reason ever: an alert or a plain answer is sent if there is room for it.
  std::size_t ignored = 0;
  if (write_unsent_records(ignored)) lost();
}

void Stream::resume_held() {
  waiting_for_bytes_ = false;
  on_readable();
}

// ---- writing ----

void Stream::send(SharedBytes bytes) {
  if (state_ != State::open || bytes.empty()) return;
  queue_.push(std::move(bytes));
  mark_dirty();
}

void Stream::mark_dirty() {
  if (dirty_ || waiting_for_room_) return;
  dirty_ = true;
  loop_.flush_at_turn_end(shared_from_this());
}

void Stream::flush() {
  dirty_ = false;
  if (state_ == State::closed || state_ == State::half_closed || waiting_for_room_) return;
  std::size_t written = 0;
  if (!(tls_ ? write_encrypted(written) : write_queue(written))) return;
  if (!is_drained() && !waiting_for_room_ && (!tls_ || tls_->is_ready())) mark_dirty();
  if (state_ == State::flushing) {
    if (is_drained()) half_close();
  } else if (written > 0) {
    owner_->on_stream_written(*this, written);
  }
}

// False when the connection is lost.
bool Stream::write_queue(std::size_t& written) {
  for (int writes = 0; !queue_.empty() && writes < writes_per_turn; ++writes) {
    std::array<iovec, WriteQueue::max_parts> parts;
    const auto batch = queue_.gather(parts, loop_.write_buffer());
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = batch.parts;
    const std::optional<std::size_t> size = write_some(message);
    if (!size) return false;
    if (*size > 0) queue_.consume(*size);
    written += *size;
    if (*size < batch.bytes) {
      wait_for_room();
      break;
    }
  }
  return true;
}

bool Stream::write_encrypted(std::size_t& written) {
  for (int writes = 0; writes < writes_per_turn; ++writes) {
    if (tls_->has_unsent() && !write_unsent_records(written)) return false;
    if (waiting_for_room_ || queue_.empty() || !tls_->is_ready()) break;
    const std::size_t size = queue_.copy(loop_.write_buffer());
    if (!tls_->encrypt(loop_.write_buffer().first(size))) {
      lost();
      return false;
    }
    queue_.consume(size);
    encrypted_bytes_ += size;
  }
  return true;
}

// Sends the records that are made. What they hold counts as written byte for byte, but the last
// byte only with the last record.
bool Stream::write_unsent_records(std::size_t& written) {
  while (tls_->has_unsent()) {
    const ByteView unsent = tls_->unsent();
    iovec part{const_cast<std::uint8_t*>(unsent.data()), unsent.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const std::optional<std::size_t> size = write_some(message);
    if (!size) return false;
    if (*size > 0) tls_->consume(*size);
    const bool all = !tls_->has_unsent();
    const std::size_t counted =
        all || encrypted_bytes_ == 0 ? encrypted_bytes_ : std::min(*size, encrypted_bytes_ - 1);
    encrypted_bytes_ -= counted;
    written += counted;
    if (*size < unsent.size()) {
      wait_for_room();
      break;
    }
  }
  return true;
}

// How much the kernel took, 0 when there is no room; nullopt when the connection is lost.
std::optional<std::size_t> Stream::write_some(const msghdr& message) {
  while (true) {
    const ssize_t count = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && !would_block(errno)) {
      lost();
      return std::nullopt;
    }
    const std::size_t size = count < 0 ? 0 : static_cast<std::size_t>(count);
    loop_.count().bytes_written += size;
    ++loop_.count().writes;
    return size;
  }
}

void Stream::wait_for_room() {
  if (waiting_for_room_) return;
  waiting_for_room_ = true;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](error_code error) {
    self->waiting_for_room_ = false;
    if (!error) self->flush();
  });
}

// ---- closing ----

void Stream::close(TimeMs linger_ms) {
  if (state_ == State::open) begin_close(linger_ms);
}

void Stream::close_dropping(TimeMs linger_ms, bool (*keep_last)(const SharedBytes&)) {
  if (state_ != State::open) return;
  queue_.drop_unstarted(!queue_.empty() && keep_last(queue_.last()));
  begin_close(linger_ms);
}

void Stream::begin_close(TimeMs linger_ms) {
  state_ = State::flushing;
  loop_.close_at(Loop::now() + linger_ms, shared_from_this());
  // A paused stream reads again: the peer's end has to be noticed, and its bytes are dropped.
  wait_for_bytes();
  if (is_drained()) {
    half_close();
  } else {
    mark_dirty();
  }
}

void Stream::half_close() {
  if (tls_ && tls_->say_end()) return mark_dirty();
  state_ = State::half_closed;
  queue_.clear();
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::abort() { release(); }

void Stream::lost() {
  const bool tell = state_ == State::open;
  release();
  if (tell) owner_->on_stream_closed(*this);
}

void Stream::release() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  queue_.clear();
  tls_.reset();
  error_code ignored;
  socket_.close(ignored);
  loop_.stream_closed();
}

}  // namespace conat::net
