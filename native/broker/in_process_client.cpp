#include "broker/in_process_client.hpp"

#include <utility>

namespace conat::server {
namespace {

// A bound for what one frame from the broker may hold, far above what it sends.
constexpr std::size_t max_frame_bytes = std::size_t{1} << 31;

WebSocketReader make_reader() {
  return WebSocketReader(WebSocketRole::client, max_frame_bytes, false);
}

}  // namespace

InProcessClient::InProcessClient(Broker& broker) : broker_(broker), reader_(make_reader()) {}

ClientOptions InProcessClient::client_options() {
  ClientOptions options;
  options.reconnection_delay_ms = 10;
  options.reconnection_delay_max_ms = 100;
  return options;
}

void InProcessClient::pump(TimeMs now, const std::function<void()>& drain_broker) {
  if (idle_) return;
  for (bool busy = true; busy;) {
    busy = deliver_to_client(now);
    busy = carry_out_effects(now) || busy;
    busy = deliver_to_broker(now) || busy;
    drain_broker();
    busy = busy || !inbound_.empty() || disconnected_;
  }
  idle_ = true;
}

bool InProcessClient::deliver_to_client(TimeMs now) {
  const bool any = !inbound_.empty() || disconnected_;
  while (!inbound_.empty() && connection_) {
    const SharedBytes frames = std::move(inbound_.front());
    inbound_.pop_front();
    read_frames(now, frames);
    broker_.on_written(now, *connection_, frames.size());
    if (disconnected_) inbound_.clear();
  }
  if (disconnected_) {
    disconnect();
    client().on_transport_closed(now);
  }
  return any;
}

void InProcessClient::read_frames(TimeMs now, const SharedBytes& frames) {
  // Other connections may share these bytes, and the reader asks for writable ones.
  scratch_.assign(frames.view().begin(), frames.view().end());
  reader_.feed(scratch_);
  for (auto step = reader_.next(); step != WebSocketReader::Step::need_more;
       step = reader_.next()) {
    if (step == WebSocketReader::Step::close) break;  // the broker's Close effect follows
    if (step == WebSocketReader::Step::error) {
      broker_.on_closed(now, *connection_);
      disconnected_ = true;
      break;
    }
    if (step == WebSocketReader::Step::message) {
      client().on_transport_message(now, reader_.binary(), reader_.payload());
    }
  }
}

void InProcessClient::carry_out_transport(TimeMs now, ClientEffect& effect) {
  if (auto* sending = std::get_if<client_effect::SendMessages>(&effect)) {
    queue(sending->messages);
  } else if (std::holds_alternative<client_effect::OpenTransport>(effect)) {
    Handshake handshake;
    handshake.address = "in-process";
    handshake.in_process = true;
    connection_ = broker_.open(now, std::move(handshake));
    client().on_transport_open(now);
  } else if (std::holds_alternative<client_effect::CloseTransport>(effect)) {
    if (connection_) broker_.on_closed(now, *connection_);
    disconnect();
  }
}

void InProcessClient::queue(const WireMessages& messages) {
  if (!connection_) return;
  for (const auto& message : messages) {
    const auto opcode = message.binary ? WebSocketOpcode::binary : WebSocketOpcode::text;
    const std::size_t start = outbound_.size();
    const std::size_t header = websocket_header_size(message.payload.size());
    outbound_.resize(start + header);
    write_websocket_header(outbound_.data() + start, opcode, message.payload.size());
    append(outbound_, message.payload);
  }
}

bool InProcessClient::deliver_to_broker(TimeMs now) {
  if (outbound_.empty() || paused_ || !connection_) return false;
  scratch_.swap(outbound_);
  outbound_.clear();
  broker_.on_bytes(now, *connection_, scratch_);
  return true;
}

void InProcessClient::disconnect() {
  connection_.reset();
  inbound_.clear();
  outbound_.clear();
  disconnected_ = false;
  paused_ = false;
  reader_ = make_reader();
}

}  // namespace conat::server
