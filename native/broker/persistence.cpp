#include "broker/persistence.hpp"

#include <utility>

namespace conat::server {

Persistence::Persistence(Broker& broker, storage::StorageEngine& storage,
                         PersistServerOptions options, Random random)
    : InProcessClient(broker),
      storage_(storage),
      host_(std::move(options), client_options(), std::move(random)) {}

void Persistence::start(TimeMs now) {
  wake();
  host_.start(now);
}

void Persistence::on_storage(TimeMs now, StorageResult result) {
  wake();
  host_.on_storage(now, std::move(result));
}

void Persistence::on_time(TimeMs now) {
  wake();
  host_.on_time(now);
}

bool Persistence::carry_out_effects(TimeMs now) {
  bool any = false;
  PersistHostEffect effect;
  while (host_.next(now, effect)) {
    any = true;
    if (auto* transport = std::get_if<ClientEffect>(&effect)) {
      carry_out_transport(now, *transport);
    } else {
      carry_out(*std::get_if<PersistEffect>(&effect));
    }
  }
  return any;
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

}  // namespace conat::server
