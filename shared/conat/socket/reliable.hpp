// Reliable delivery over one socket: sequence numbers, acknowledgements, gaps, resending.
//
// Sender: what was written is kept until it is acknowledged. The youngest message sent is sent
// again after each reconnect, and whenever nothing was acknowledged for a while: that makes the
// receiver find any gap. Receiver: delivers in order, acknowledges in batches, asks for what is
// missing. Thread safety: none.
#pragma once

#include <optional>

#include "conat/socket/link.hpp"
#include "conat/socket/receive_window.hpp"
#include "conat/socket/send_window.hpp"

namespace conat::socket_parts {

class Reliable {
 public:
  // `reset`: the stream from the other side cannot be made whole.
  enum class Verdict : std::uint8_t { fine, reset };

  Reliable(Link& link, const SocketOptions& options)
      : link_(link),
        options_(options),
        send_(options.max_queue, options.max_queue_bytes),
        receive_(link.context.held) {}

  Status write(TimeMs now, MessageData data);
  // A data message with its sequence number in its headers.
  void on_data(TimeMs now, MessageData data);
  // The command `socket`: an acknowledgement, or a question for missing messages.
  void on_command(TimeMs now, const Message& message);
  // True when the call was this layer's.
  bool owns(CallId call) const { return call != 0 && call == gap_call_; }
  Verdict on_reply(TimeMs now, const Result<Message>& reply);
  Verdict on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;

  // The link is ready, again or for the first time.
  void on_ready(TimeMs now);
  void on_lost();
  // The other side has come back: resend as after a reconnect of one's own.
  void start_resending(TimeMs now);
  // Forgets what came early.
  void discard_early() { receive_.discard_held(); }

  std::uint64_t delivered() const { return receive_.delivered(); }
  // True when the other side must remember this socket for the streams to go on.
  bool has_history() const { return receive_.delivered() > 0 || send_.was_acknowledged(); }
  std::size_t unacknowledged() const { return send_.size(); }
  std::size_t unsent() const { return send_.unsent(); }

 private:
  void deliver(MessageData data);
  void flush(TimeMs now);
  void watch(TimeMs now);
  void resend(TimeMs now);
  std::int64_t transfer_ms() const;
  void plan_acknowledgement(TimeMs now, std::size_t messages);
  void send_acknowledgement(TimeMs now);
  void answer_missing(TimeMs now, const Message& message, const Value::Array& missing);
  void ask_for_missing(TimeMs now);
  void retry_gap(TimeMs now);
  bool take_missing(TimeMs now, const Value& items);

  Link& link_;
  const SocketOptions& options_;
  SendWindow send_;
  ReceiveWindow receive_;

  // Acknowledgements.
  std::size_t to_acknowledge_ = 0;
  std::optional<TimeMs> acknowledge_at_;

  // Resending: until `resend_until_` after a reconnect, for ever at `patience` otherwise.
  std::optional<TimeMs> resend_at_;
  std::optional<TimeMs> resend_until_;
  std::int64_t resend_delay_ms_ = 0;

  // The question for missing messages, and the lowest one that it asked for.
  CallId gap_call_ = 0;
  std::uint64_t gap_lowest_ = 0;
  std::uint32_t gap_attempts_ = 0;
  std::optional<TimeMs> gap_retry_at_;
  std::optional<TimeMs> gap_since_;
};

}  // namespace conat::socket_parts
