// The part of a story that is about one append-only stream: every client publishes to it, follows
// it, and holds it once more as a core stream; at the end everything is there exactly once.
//
// Thread safety: none.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "conat/sync/dstream_store.hpp"
#include "simulation/world.hpp"

namespace conat::simulation {

class StreamPlay {
 public:
  using OnFailure = std::function<void(const std::string& what)>;

  StreamPlay(World& world, Random dice, OnFailure fail)
      : world_(world), dice_(std::move(dice)), fail_(std::move(fail)) {}

  void add_client(std::size_t client);
  // True when the effect was about the stream.
  bool on_effect(std::size_t client, FabricEffect& effect);
  void publish_something();
  // The oldest half is deleted for good. Called when all is quiet.
  void delete_oldest();
  // The client is about to crash.
  void on_crash(std::size_t client);

  bool quiet();
  // What must hold when all is quiet.
  void check();
  std::uint64_t published() const { return published_; }

 private:
  using Messages = std::map<StreamSequence, std::string>;

  struct Copy {
    std::size_t client = 0;
    DStreamId dstream = 0;
    CoreStreamId core = 0;
    bool dead = false;  // the client crashed
    bool opened = false;
    bool core_opened = false;
    bool connected = false;
    bool core_connected = false;
    Messages told;
    Messages core_told;
    // Seen at the opening while the news of them was still on its way.
    std::set<StreamSequence> early;
    std::set<StreamSequence> core_early;
    std::vector<std::string> published;
    std::set<std::string> unsure;  // was not acknowledged at the crash
  };

  void on_dstream(Copy& copy, DStreamEffect& effect);
  void on_core(Copy& copy, CoreStreamEffect& effect);
  void note(const Copy& copy, Messages& told, std::set<StreamSequence>& early,
            const StreamLogChange& change);
  Messages shown(const Copy& copy);
  Messages held(const Copy& copy);
  void check_order(const Copy& copy, const std::vector<std::string>& order);
  void check_copy(const Copy& copy, const Messages& stored);

  World& world_;
  Random dice_;
  OnFailure fail_;
  std::vector<std::unique_ptr<Copy>> copies_;
  std::uint64_t published_ = 0;
  bool deleting_ = false;
};

}  // namespace conat::simulation
