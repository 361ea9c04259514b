// Power failures at any operation of the disk, and writes and syncs that fail, full disks, disks
// that lie: what was acknowledged is kept, nothing is half done, damaged files are set aside.

#include "storage/crash_run.hpp"
#include "storage/engine_harness.hpp"

using namespace conat;
using namespace conat::storage;
using namespace conat::test;

namespace {

constexpr int kPointsPerRun = 20;

CrashTally run_points(CrashRunOptions options, int runs) {
  CrashTally tally;
  for (int i = 0; i < runs; ++i) {
    ++options.seed;
    options.large = i % 5 == 4;
    CrashRun run(options, tally);
    for (int point = 0; point < kPointsPerRun; ++point) run.one_point();
    run.finish();
  }
  UNSCOPED_INFO("in openings " << tally.in_openings << ", groups " << tally.in_groups
                               << ", between " << tally.between_groups << "; kept " << tally.kept
                               << ", undone " << tally.undone << ", forgotten " << tally.forgotten
                               << ", failed " << tally.failed_groups << ", repeated "
                               << tally.repeated);
  CHECK(tally.points == runs * kPointsPerRun);
  return tally;
}

}  // namespace

TEST_CASE("500 power failures lose nothing acknowledged and leave nothing half done", "[crash]") {
  CrashTally tally = run_points({.seed = 1000}, 15);
  const CrashTally more = run_points({.seed = 2000, .failures = true}, 10);
  REQUIRE(tally.points + more.points == 500);
  // Every kind of moment has been there, and both outcomes of what nobody was told.
  REQUIRE(tally.in_openings > 10);
  REQUIRE(tally.in_groups > 50);
  REQUIRE(tally.between_groups > 5);
  REQUIRE(tally.kept > 5);
  REQUIRE(tally.undone > 5);
  REQUIRE(tally.repeated > 50);
  REQUIRE(tally.forgotten + more.forgotten == 0);
  REQUIRE(more.failed_groups > 50);
}

TEST_CASE("with `os` a power failure takes the last answers at most", "[crash]") {
  const CrashTally tally = run_points({.seed = 3000, .durable = false}, 5);
  // Or the disk would not be one that loses anything.
  REQUIRE(tally.forgotten > 5);
}
