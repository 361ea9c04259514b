// One stream on a FaultDisk through many lives: random work of a real LiveStream, compared with the
// model answer by answer, until the power goes at some operation of the disk; then the next life
// opens what survived, which has to be one of the states the file may be in.
//
// Thread safety: none.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "property/stream/stream_model.hpp"
#include "storage/fault_disk.hpp"
#include "storage/live_stream.hpp"
#include "storage/temporary_directory.hpp"

namespace conat::test {

// How often what happened; tests require that everything did.
struct CrashTally {
  int points = 0;
  int in_openings = 0;  // the power went while the stream was opened
  int in_groups = 0;
  int between_groups = 0;  // in upkeep, on closing, or at rest
  int kept = 0;            // unanswered groups found whole afterwards
  int undone = 0;          // unanswered groups found undone
  int forgotten = 0;       // answered groups that are gone (`os` only)
  int failed_groups = 0;   // answered with an error while the power was on
  int failed_openings = 0;
  int repeated = 0;  // message ids recognized
};

struct CrashRunOptions {
  std::uint64_t seed = 1;
  bool durable = true;
  bool large = false;     // messages that fill the log soon
  bool failures = false;  // single writes and syncs fail, too, and the disk is full at times
};

class CrashRun {
 public:
  CrashRun(const CrashRunOptions& options, CrashTally& tally);

  // A life that ends with a loss of power.
  void one_point();
  // Opens what is there at last, without any failure.
  void finish();

 private:
  struct Expected {
    std::string text;
    std::optional<Value> config;
  };
  // What a file holds, read with SQLite alone.
  struct Snapshot {
    StreamSequence last_seq = 0;
    Value config;
    std::vector<StoredMessage> messages;
  };

  bool chance(std::uint32_t one_in) { return random_.below(one_in) == 0; }
  void arm_power_loss();
  void arm_failure();
  bool open();
  void close();
  void recognize();
  Snapshot snapshot();
  static bool agrees(const Snapshot& found, const StreamModel& model);
  void check_now();

  void run_group();
  StorageCommand command(StreamModel& model, Expected& expected);
  SetRequest some_set(const StreamModel& model);
  StorageCommand some_delete(StreamModel& model, Expected& expected);
  StorageCommand some_config(StreamModel& model, Expected& expected);
  void check_answers(const StorageResult& result, const std::vector<Expected>& expected);
  bool failed(const StorageResult& result) const;

  const CrashRunOptions options_;
  CrashTally& tally_;
  Random random_;
  TemporaryDirectory directory_;
  FaultDisk disk_;
  storage::StorageOptions storage_;
  std::unique_ptr<storage::LiveStream> live_;
  UnixMs now_ = 1'795'445'889'622;
  TimeMs monotonic_ = 0;
  int next_message_ = 0;

  // A state of the stream; not copied, it holds all messages.
  using State = std::shared_ptr<const StreamModel>;
  State model_ = std::make_shared<StreamModel>();  // what the open stream holds
  // What the file may hold after a power failure, the latest last; model_ is one of them.
  std::vector<State> possible_;
  // States at the end, which no answer told of.
  std::size_t unanswered_ = 0;
  std::deque<SetRequest> recent_;  // with message ids, to be repeated
};

}  // namespace conat::test
