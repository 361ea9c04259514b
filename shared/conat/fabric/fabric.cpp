#include "conat/fabric/fabric.hpp"

#include <utility>

namespace conat {
namespace {

// The layer that an effect is for; what has no owner is for the shell.
template <class Effect>
Layer layer_of(const Effect& effect) {
  return std::visit(
      [](const auto& item) {
        if constexpr (requires { item.owner; }) {
          return item.owner.layer;
        } else {
          return Layer::user;
        }
      },
      effect);
}

}  // namespace

class Fabric::Impl {
 public:
  Impl(ClientOptions options, Random random)
      : client(std::move(options), random.fork()),
        sockets(client, random.fork()),
        streams(sockets, random.fork()),
        dkvs(streams, random.fork()) {}

  // Every effect that is routed inwards may make the layers below produce more; the lower layers
  // are drained first, so that causes leave before their consequences.
  bool next(TimeMs now, FabricEffect& effect) {
    while (true) {
      if (client.next(client_effect_)) {
        if (route(now, client_effect_)) continue;
        effect = std::move(client_effect_);
        return true;
      }
      if (sockets.next(socket_effect_)) {
        if (layer_of(socket_effect_) == Layer::stream) {
          streams.on_socket_effect(now, std::move(socket_effect_));
          continue;
        }
        effect = std::move(socket_effect_);
        return true;
      }
      if (streams.next(stream_effect_)) {
        if (layer_of(stream_effect_) == Layer::sync) {
          dkvs.on_stream_effect(now, std::move(stream_effect_));
          continue;
        }
        effect = std::move(stream_effect_);
        return true;
      }
      DkvEffect dkv_effect;
      if (!dkvs.next(dkv_effect)) return false;
      effect = std::move(dkv_effect);
      return true;
    }
  }

  Client client;
  Sockets sockets;
  StreamClients streams;
  Dkvs dkvs;

 private:
  // True when the effect stayed inside.
  bool route(TimeMs now, ClientEffect& effect) {
    if (layer_of(effect) == Layer::socket) {
      sockets.on_client_effect(now, std::move(effect));
      return true;
    }
    // Both are for the user and for the sockets, which start to talk when the client is signed in.
    if (std::holds_alternative<client_effect::StateChanged>(effect) ||
        std::holds_alternative<client_effect::InfoReceived>(effect)) {
      sockets.on_client_effect(now, effect);
    }
    return false;
  }

  // Kept, so that draining allocates nothing.
  ClientEffect client_effect_;
  SocketEffect socket_effect_;
  StreamClientEffect stream_effect_;
};

Fabric::Fabric(ClientOptions options, Random random)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(random))) {}

Fabric::~Fabric() = default;

Client& Fabric::client() { return impl_->client; }
Sockets& Fabric::sockets() { return impl_->sockets; }
StreamClients& Fabric::streams() { return impl_->streams; }
Dkvs& Fabric::dkvs() { return impl_->dkvs; }

void Fabric::on_time(TimeMs now) {
  impl_->client.on_time(now);
  impl_->sockets.on_time(now);
  impl_->streams.on_time(now);
  impl_->dkvs.on_time(now);
}

std::optional<TimeMs> Fabric::deadline() const {
  return earlier(earlier(impl_->client.deadline(), impl_->sockets.deadline()),
                 earlier(impl_->streams.deadline(), impl_->dkvs.deadline()));
}

bool Fabric::next(TimeMs now, FabricEffect& effect) { return impl_->next(now, effect); }

}  // namespace conat
