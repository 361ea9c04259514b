// A process that writes is killed at random moments. Whatever it had reported as acknowledged must
// be there afterwards, in files without damage.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <set>
#include <thread>

#include "conat/base/random.hpp"
#include "conat/stream/stream.hpp"
#include "storage/sqlite_store.hpp"
#include "storage/storage_engine.hpp"
#include "storage/temporary_directory.hpp"

using namespace conat;
using namespace conat::storage;
using namespace conat::test;

namespace {

constexpr int kStreams = 4;

// What goes through the pipe for each acknowledged set.
struct Acknowledged {
  std::int32_t stream;
  std::int32_t number;
  std::int64_t seq;
};

std::string path_of(int stream) { return "hub/s" + std::to_string(stream); }

std::string raw_of(int stream, int number) {
  // Some are large, so that transactions span many pages.
  return std::to_string(stream) + ":" + std::to_string(number) + ":" +
         std::string(static_cast<std::size_t>(number % 50 == 0 ? 20'000 : number % 7 * 30), 'x');
}

// Writes until it is killed; tokens tell stream and number.
[[noreturn]] void write_for_ever(const std::filesystem::path& data, int pipe, int first) {
  StorageOptions options;
  options.data_dir = data;
  options.durable_disk = true;
  std::atomic<int> in_flight{0};
  StorageEngine engine(options, [&](StorageResult result) {
    for (const auto& item : result.items) {
      if (!item.answer.ok()) ::_exit(3);
      const Acknowledged line{static_cast<std::int32_t>(item.token >> 32),
                              static_cast<std::int32_t>(item.token & 0xffffffffu),
                              std::get<SetResult>(*item.answer).seq};
      if (::write(pipe, &line, sizeof(line)) != sizeof(line)) ::_exit(4);
      --in_flight;
    }
  });
  if (!engine.prepare().ok()) ::_exit(5);
  for (int stream = 0; stream < kStreams; ++stream) {
    engine.open({static_cast<StreamId>(stream + 1), path_of(stream), false, stream % 2 == 0, true});
  }
  for (int number = first;; ++number) {
    for (int stream = 0; stream < kStreams; ++stream) {
      SetRequest request;
      request.raw = to_bytes(raw_of(stream, number));
      request.message_id = std::to_string(number);
      const auto token =
          static_cast<std::uint64_t>(stream) << 32 | static_cast<std::uint32_t>(number);
      ++in_flight;
      engine.submit({static_cast<StreamId>(stream + 1), {token, std::move(request)}});
    }
    while (in_flight > 400) std::this_thread::yield();
  }
}

// Kills a writer after a while; adds what it acknowledged.
void one_round(const std::filesystem::path& data, int first, std::int64_t delay_us,
               std::vector<Acknowledged>& acknowledged) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(ends[0]);
    write_for_ever(data, ends[1], first);
  }
  ::close(ends[1]);
  Acknowledged line{};
  // The delay counts from its first answer, so that each round gets to write.
  REQUIRE(::read(ends[0], &line, sizeof(line)) == sizeof(line));
  acknowledged.push_back(line);
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
    ::kill(child, SIGKILL);
  });
  while (::read(ends[0], &line, sizeof(line)) == sizeof(line)) acknowledged.push_back(line);
  killer.join();
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

// Opens the file of a stream as the next process would, and looks for everything acknowledged.
void check_stream(const std::filesystem::path& data, int stream,
                  const std::map<std::pair<int, std::int64_t>, int>& expected) {
  auto store = SqliteStore::open((data / (path_of(stream) + ".db")).string(), {});
  REQUIRE(store.ok());
  auto opened = Stream::open(**store, unix_now(), false);
  REQUIRE(opened.ok());
  std::vector<StoredMessage> messages;
  REQUIRE(opened->get_range(0, 0, std::size_t{1} << 40, messages).ok());
  std::map<StreamSequence, const StoredMessage*> by_seq;
  for (const StoredMessage& message : messages) by_seq[message.seq] = &message;
  for (auto entry = expected.lower_bound({stream, 0});
       entry != expected.end() && entry->first.first == stream; ++entry) {
    const auto found = by_seq.find(entry->first.second);
    REQUIRE(found != by_seq.end());
    const bool same = as_text(found->second->raw) == raw_of(stream, entry->second);
    REQUIRE(same);
  }
  auto check = (*store)->database().prepare("PRAGMA integrity_check", false);
  REQUIRE(check.ok());
  REQUIRE(check->step() == SQLITE_ROW);
  REQUIRE(check->text(0) == "ok");
}

}  // namespace

TEST_CASE("nothing acknowledged is lost by kill -9", "[crash]") {
  Random random(20250103);
  std::size_t total = 0;
  // Ten rounds in the same files, five times.
  for (int generation = 0; generation < 5; ++generation) {
    TemporaryDirectory directory;
    std::map<std::pair<int, std::int64_t>, int> expected;  // stream and seq to number
    int first = 0;
    for (int round = 0; round < 10; ++round) {
      INFO("generation " << generation << " round " << round);
      std::vector<Acknowledged> acknowledged;
      one_round(directory / "data", first, random.below(50'000), acknowledged);
      for (const Acknowledged& line : acknowledged) {
        REQUIRE(expected.emplace(std::pair(line.stream, line.seq), line.number).second);
        first = std::max(first, line.number);
      }
      first += 1000;  // what was in flight may be there; its ids must not be used again
      for (int stream = 0; stream < kStreams; ++stream) {
        check_stream(directory / "data", stream, expected);
      }
    }
    total += expected.size();
  }
  REQUIRE(total > 1000);
}
