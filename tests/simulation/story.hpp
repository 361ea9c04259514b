// One seed's story: three to ten clients edit several stores while the network, the broker, the
// persistence server and its disk fail in all ways, clients crash and others come, and clocks jump;
// then everything heals, and what must hold is checked: all see the same, which is what is stored;
// nothing that was saved is lost, nothing is there twice, and what is deleted stays deleted.
//
// Thread safety: none.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "simulation/stream_play.hpp"
#include "simulation/world.hpp"

namespace conat::simulation {

class Story {
 public:
  Story(std::uint64_t seed, World::OnTrace on_trace);
  ~Story();

  // What does not hold; empty when all is well.
  std::vector<std::string> run();

  std::uint64_t events() const { return world_.events(); }
  std::uint64_t edits() const { return edits_; }
  std::uint64_t changes() const { return changes_; }
  // Of everything that all clients see at the end: equal for equal seeds.
  std::uint64_t fingerprint() const { return fingerprint_; }

 private:
  static constexpr std::size_t kMostReplicas = 10;
  static constexpr std::size_t kMostCrashes = 3;

  using View = std::map<std::string, Value>;

  struct StoreKind {
    std::string path;
    MergeKind merge = MergeKind::none;
    bool ephemeral = false;
  };
  // An edit that a crash may take.
  struct Pending {
    std::int64_t number = 0;  // added to a counter, the element of a set, a field's value
    Value before;             // of the field
    std::string word;         // in a text
  };
  // One client's copy of one store.
  struct Copy {
    std::size_t client = 0;
    std::size_t kind = 0;
    DkvId dkv = 0;
    bool dead = false;  // the client crashed
    bool opened = false;
    bool connected = false;
    View told;  // by Change effects
    std::map<std::string, Value> last_written;
    std::map<std::string, std::vector<Pending>> pending;  // by key, since it was saved
  };

  void add_client();
  void open_stores(std::size_t client);
  void on_effect(std::size_t client, FabricEffect& effect);
  void on_change(Copy& copy, const dkv_effect::Change& change);
  void on_merge(Copy& copy, const dkv_effect::MergeNeeded& asked);

  // ---- what happens ----
  void storm(std::int64_t length_ms, bool edit);
  void edit_something();
  void edit_plain(Copy& copy, const std::string& key);
  void edit_counter(Copy& copy, const std::string& key);
  void edit_fields(Copy& copy, const std::string& key);
  void edit_set(Copy& copy, const std::string& key);
  void edit_text(Copy& copy, const std::string& key);
  void edit_custom(Copy& copy, const std::string& key);
  void cause_trouble();
  void crash_client(std::size_t client);
  void jump_server_clock();
  void note(Copy& copy, const std::string& key, Pending pending);
  void note_number(Copy& copy, const std::string& key, std::int64_t number);
  void doubt(Copy& copy, const std::string& key);
  void calm();
  bool quiet();
  void delete_for_good();

  // ---- what must hold ----
  void check_all();
  void check_copies_equal();
  void check_told(const Copy& copy);
  void check_history(const Copy& copy);
  void check_promises();
  void check_counters(const Copy& copy);
  void check_sets(const Copy& copy);
  void check_fields(const Copy& copy);
  void check_texts(const Copy& copy);
  void check_deleted();
  void fail(const std::string& what);

  Copy& copy_of(std::size_t client, DkvId dkv);
  View view(const Copy& copy);
  std::optional<Value> get(const Copy& copy, const std::string& key);
  void set(Copy& copy, const std::string& key, const Value& value);
  void erase(Copy& copy, const std::string& key);
  std::size_t pick(std::size_t count) { return dice_.below(static_cast<std::uint32_t>(count)); }
  bool chance(std::uint32_t one_in) { return dice_.below(one_in) == 0; }

  std::uint64_t seed_;
  Random dice_;
  World world_;
  StreamPlay streams_;
  std::vector<StoreKind> kinds_;
  std::vector<std::unique_ptr<Copy>> copies_;
  std::vector<std::string> failures_;
  std::map<std::size_t, TimeMs> back_at_;  // unreachable clients

  std::uint64_t edits_ = 0;
  std::uint64_t changes_ = 0;
  std::uint64_t fingerprint_ = 0;
  std::int64_t next_number_ = 0;
  std::map<std::string, std::int64_t> sums_;                    // counters by key
  std::map<std::string, std::set<std::int64_t>> elements_;      // sets by key
  std::map<std::string, std::map<std::string, Value>> fields_;  // objects by key
  std::map<std::string, std::vector<std::string>> words_;       // texts by key
  // What crashes may have taken: of a counter the sums that may be missing, one for each crash.
  std::map<std::string, std::vector<std::vector<std::int64_t>>> unsure_sums_;
  std::map<std::string, std::set<std::int64_t>> unsure_elements_;
  std::map<std::string, std::map<std::string, std::vector<Value>>> unsure_fields_;
  std::set<std::string> unsure_words_;
  std::size_t crashes_ = 0;
  std::int64_t forward_left_ms_ = 20'000;
  std::set<std::string> deleted_;  // for good, in the plain store
};

}  // namespace conat::simulation
