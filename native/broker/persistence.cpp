#include "broker/persistence.hpp"

#include <utility>

namespace conat::server {
namespace {

// A bound for what one frame from the broker may hold, far above what it sends.
constexpr std::size_t max_frame_bytes = std::size_t{1} << 31;

ClientOptions client_options() {
  ClientOptions options;
  // Inside the process a reconnect costs nothing and needs no patience.
  options.reconnection_delay_ms = 10;
  options.reconnection_delay_max_ms = 100;
  return options;
}

WebSocketReader make_reader() {
  return WebSocketReader(WebSocketRole::client, max_frame_bytes, false);
}

}  // namespace

Persistence::Persistence(Broker& broker, storage::StorageEngine& storage,
                         PersistServerOptions options, Random random)
    : broker_(broker),
      storage_(storage),
      host_(std::move(options), client_options(), std::move(random)),
      reader_(make_reader()) {}

void Persistence::start(TimeMs now) {
  idle_ = false;
  host_.start(now);
}

void Persistence::on_storage(TimeMs now, StorageResult result) {
  idle_ = false;
  host_.on_storage(now, std::move(result));
}

void Persistence::on_time(TimeMs now) {
  idle_ = false;
  host_.on_time(now);
}

void Persistence::pump(TimeMs now, const std::function<void()>& drain_broker) {
  if (idle_) return;
  for (bool busy = true; busy;) {
    busy = deliver_inbound(now);
    busy = carry_out_effects(now) || busy;
    busy = deliver_outbound(now) || busy;
    drain_broker();
    busy = busy || !inbound_.empty() || disconnected_;
  }
  idle_ = true;
  deadline_ = host_.deadline();
}

bool Persistence::deliver_inbound(TimeMs now) {
  const bool any = !inbound_.empty() || disconnected_;
  while (!inbound_.empty() && connection_) {
    const SharedBytes frames = std::move(inbound_.front());
    inbound_.pop_front();
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
        host_.client().on_transport_message(now, reader_.binary(), reader_.payload());
      }
    }
    broker_.on_written(now, *connection_, frames.size());
    if (disconnected_) inbound_.clear();
  }
  if (disconnected_) {
    disconnect();
    host_.client().on_transport_closed(now);
  }
  return any;
}

bool Persistence::carry_out_effects(TimeMs now) {
  bool any = false;
  PersistHostEffect effect;
  while (host_.next(now, effect)) {
    any = true;
    if (auto* transport = std::get_if<ClientEffect>(&effect)) {
      carry_out(now, *transport);
    } else {
      carry_out(*std::get_if<PersistEffect>(&effect));
    }
  }
  return any;
}

void Persistence::carry_out(TimeMs now, ClientEffect& effect) {
  if (auto* sending = std::get_if<client_effect::SendMessages>(&effect)) {
    queue(sending->messages);
  } else if (std::holds_alternative<client_effect::OpenTransport>(effect)) {
    Handshake handshake;
    handshake.address = "in-process";
    handshake.in_process = true;
    connection_ = broker_.open(now, std::move(handshake));
    host_.client().on_transport_open(now);
  } else if (std::holds_alternative<client_effect::CloseTransport>(effect)) {
    if (connection_) broker_.on_closed(now, *connection_);
    disconnect();
  }
}

void Persistence::carry_out(PersistEffect& effect) {
  if (stopped_) return;
  if (auto* submit = std::get_if<persist_effect::Submit>(&effect)) {
    storage_.submit(std::move(*submit));
  } else if (auto* opening = std::get_if<persist_effect::OpenStream>(&effect)) {
    storage_.open(*opening);
  } else if (auto* closing = std::get_if<persist_effect::CloseStream>(&effect)) {
    storage_.close(closing->stream);
  }
}

void Persistence::queue(const WireMessages& messages) {
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

bool Persistence::deliver_outbound(TimeMs now) {
  if (outbound_.empty() || paused_ || !connection_) return false;
  scratch_.swap(outbound_);
  outbound_.clear();
  broker_.on_bytes(now, *connection_, scratch_);
  return true;
}

void Persistence::disconnect() {
  connection_.reset();
  inbound_.clear();
  outbound_.clear();
  disconnected_ = false;
  paused_ = false;
  reader_ = make_reader();
}

}  // namespace conat::server
