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
        dkvs(streams, random.fork()),
        core_streams(streams),
        dstreams(streams, random.fork()) {}

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
        if (route(now, stream_effect_)) continue;
        effect = std::move(stream_effect_);
        return true;
      }
      return next_of(dkvs, effect, DkvEffect(dkv_effect::Stable{})) ||
             next_of(core_streams, effect, CoreStreamEffect(core_stream_effect::Opened{})) ||
             next_of(dstreams, effect, DStreamEffect(dstream_effect::Stable{}));
    }
  }

  Client client;
  Sockets sockets;
  StreamClients streams;
  Dkvs dkvs;
  CoreStreams core_streams;
  DStreams dstreams;

 private:
  template <class Stores, class Effect>
  static bool next_of(Stores& stores, FabricEffect& effect, Effect of_stores) {
    if (!stores.next(of_stores)) return false;
    effect = std::move(of_stores);
    return true;
  }

  // True when the effect stayed inside.
  bool route(TimeMs now, StreamClientEffect& effect) {
    switch (layer_of(effect)) {
      case Layer::sync:
        dkvs.on_stream_effect(now, std::move(effect));
        return true;
      case Layer::core_stream:
        core_streams.on_stream_effect(now, std::move(effect));
        return true;
      case Layer::dstream:
        dstreams.on_stream_effect(now, std::move(effect));
        return true;
      default:
        return false;
    }
  }

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
CoreStreams& Fabric::core_streams() { return impl_->core_streams; }
DStreams& Fabric::dstreams() { return impl_->dstreams; }

void Fabric::on_time(TimeMs now) {
  impl_->client.on_time(now);
  impl_->sockets.on_time(now);
  impl_->streams.on_time(now);
  impl_->dkvs.on_time(now);
  impl_->dstreams.on_time(now);
}

std::optional<TimeMs> Fabric::deadline() const {
  return earlier(earlier(impl_->client.deadline(), impl_->sockets.deadline()),
                 earlier(impl_->streams.deadline(),
                         earlier(impl_->dkvs.deadline(), impl_->dstreams.deadline())));
}

bool Fabric::next(TimeMs now, FabricEffect& effect) { return impl_->next(now, effect); }

}  // namespace conat
