// Two brokers in one thread, of which one joins the other: a Link between two Worlds, over real
// bytes.
#pragma once

#include <deque>
#include <utility>

#include "broker_world.hpp"
#include "conat/broker/link.hpp"

namespace conat::test {

class Joined {
 public:
  // `from` joins `to`, by a connection to that shard of it.
  Joined(World& from, World& to, LinkOptions options, ShardIndex shard = 0)
      : from_(from), to_(to), shard_(shard), options_(options), link(options, from.random.fork()) {
    for (const auto& broker : from.brokers) broker->add_link(options.index);
  }

  void start() {
    link.start(from_.now);
    pump();
  }

  // Until nothing is under way, mail included.
  void pump() {
    for (bool any = true; any;) {
      any = false;
      from_.settle();
      to_.settle();
      LinkEffect effect;
      while (link.next(effect)) {
        any = true;
        carry_out(effect);
      }
      while (!received_.empty() && !deaf) {
        any = true;
        auto [binary, message] = std::move(received_.front());
        received_.pop_front();
        link.on_message(from_.now, binary, message);
      }
      any |= deliver_shard_mail();
    }
  }

  // Moves the clocks of both brokers.
  void advance(std::int64_t ms) {
    for (const TimeMs end = from_.now + ms; from_.now < end;) {
      const TimeMs due = std::clamp(link.deadline().value_or(end), from_.now + 1, end);
      const std::int64_t step = due - from_.now;
      from_.advance(step);
      to_.advance(step);
      link.on_time(from_.now);
      pump();
    }
  }

  // The connection is lost.
  void cut() {
    if (transport->open) transport->close();
    transport.reset();
    received_.clear();
    link.on_closed(from_.now, "lost");
    pump();
  }

 private:
  void carry_out(LinkEffect& effect) {
    if (auto* sending = std::get_if<link_effect::Send>(&effect)) {
      if (!transport || !transport->open) return;
      unsent += sending->messages.size();
      if (writes) transport->messages(sending->messages);
      if (writes) link.on_written(from_.now, 0, written += sending->messages.size());
    } else if (auto* mail = std::get_if<link_effect::ToShard>(&effect)) {
      from_.broker(mail->shard).on_peer(from_.now, options_.index, std::move(mail->message));
      from_.drain(mail->shard);
    } else if (std::holds_alternative<link_effect::Open>(effect)) {
      if (unreachable) return link.on_closed(from_.now, "unreachable");
      Handshake handshake;
      handshake.identity = Identity{json(user), {}, {}};
      link.on_open(from_.now);
      transport = std::make_unique<TestClient>(
          to_, shard_, std::move(handshake), PacketEncoding::msgpack,
          [this](bool binary, ByteView message) {
            received_.emplace_back(binary, Bytes(message.begin(), message.end()));
          });
    } else if (std::holds_alternative<link_effect::Close>(effect)) {
      if (transport && transport->open) transport->close();
      transport.reset();
      received_.clear();
    } else if (std::holds_alternative<link_effect::Identified>(effect)) {
      link.accept(from_.now);
    } else if (const auto* down = std::get_if<link_effect::Down>(&effect)) {
      downs.push_back(down->reason);
    } else if (std::holds_alternative<link_effect::Gone>(effect)) {
      gone = true;
    }
  }

  bool deliver_shard_mail() {
    bool any = false;
    for (auto mail = from_.link_mail.begin(); mail != from_.link_mail.end();) {
      if (mail->link != options_.index) {
        ++mail;
        continue;
      }
      any = true;
      const ShardIndex shard = mail->from;
      PeerMessage message = std::move(mail->message);
      mail = from_.link_mail.erase(mail);
      link.on_shard(from_.now, shard, std::move(message));
    }
    return any;
  }

  World& from_;
  World& to_;
  const ShardIndex shard_;
  const LinkOptions options_;
  std::deque<std::pair<bool, Bytes>> received_;

 public:
  Link link;
  std::unique_ptr<TestClient> transport;
  std::string user = R"({"hub_id":"system"})";
  bool unreachable = false;
  bool deaf = false;   // what the other broker sends stays on the way
  bool writes = true;  // what is sent leaves at once
  bool gone = false;
  std::uint64_t unsent = 0;
  std::uint64_t written = 0;
  std::vector<std::string> downs;
};

}  // namespace conat::test
