// test_simulation [--seeds N] [--first S] [--trace]
//
// Plays one story for each seed. A failing one is played again with a trace, of which the end is
// shown. CONAT_SIMULATION_SEEDS replaces the default number of seeds.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>

#include "simulation/story.hpp"

namespace {

using conat::simulation::Story;

struct Arguments {
  std::uint64_t seeds = 1000;
  std::uint64_t first = 1;
  bool trace = false;
};

Arguments parse(int count, char** values) {
  Arguments arguments;
  if (const char* seeds = std::getenv("CONAT_SIMULATION_SEEDS")) {
    arguments.seeds = std::strtoull(seeds, nullptr, 10);
  }
  for (int i = 1; i < count; ++i) {
    const std::string name = values[i];
    if (name == "--trace") arguments.trace = true;
    if (i + 1 == count) continue;
    if (name == "--seeds") arguments.seeds = std::strtoull(values[i + 1], nullptr, 10);
    if (name == "--first") arguments.first = std::strtoull(values[i + 1], nullptr, 10);
  }
  return arguments;
}

void report(std::uint64_t seed, const std::vector<std::string>& failures) {
  constexpr std::size_t kShown = 150;
  std::deque<std::string> lines;
  Story story(seed, [&](const std::string& line) {
    lines.push_back(line);
    if (lines.size() > kShown) lines.pop_front();
  });
  story.run();
  std::printf("\nSEED %llu FAILED\n", static_cast<unsigned long long>(seed));
  for (const std::string& line : lines) std::printf("    %s\n", line.c_str());
  for (const std::string& failure : failures) std::printf("  * %s\n", failure.c_str());
  std::printf("  replay with the whole trace: test_simulation --first %llu --seeds 1 --trace\n",
              static_cast<unsigned long long>(seed));
}

}  // namespace

int main(int count, char** values) {
  const Arguments arguments = parse(count, values);
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t failed = 0;
  std::uint64_t events = 0;
  std::uint64_t edits = 0;
  std::uint64_t changes = 0;
  for (std::uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    conat::simulation::World::OnTrace trace;
    if (arguments.trace) {
      trace = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
    }
    Story story(seed, trace);
    std::vector<std::string> failures = story.run();
    events += story.events();
    edits += story.edits();
    changes += story.changes();
    // The same seed tells the same story: replays can be trusted.
    if (seed < arguments.first + 3) {
      Story again(seed, {});
      again.run();
      if (again.fingerprint() != story.fingerprint() || again.events() != story.events()) {
        failures.push_back("the story is another one when it is told again");
      }
    }
    if (failures.empty()) continue;
    ++failed;
    report(seed, failures);
    if (failed == 10) break;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%llu seeds, %llu failed; %llu edits, %llu changes, %llu steps in %.1f s\n",
              static_cast<unsigned long long>(arguments.seeds),
              static_cast<unsigned long long>(failed), static_cast<unsigned long long>(edits),
              static_cast<unsigned long long>(changes), static_cast<unsigned long long>(events),
              took.count());
  if (edits == 0 || changes == 0) return 2;  // nothing was tested
  return failed == 0 ? 0 : 1;
}
