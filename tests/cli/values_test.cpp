// Values on the command line, tables, and what a person reads of numbers.
#include "cli/values.hpp"

#include <catch2/catch.hpp>
#include <fstream>

#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "conatd/process.hpp"

using namespace conat;
using namespace conat::cli;

TEST_CASE("a value comes from the argument or a file, as JSON, text or bytes") {
  const conat::test::TemporaryDirectory directory;
  const std::string json = (directory.path() / "value.json").string();
  const std::string binary = (directory.path() / "value.bin").string();
  std::ofstream(json) << "{\"a\":1}\n";
  std::ofstream(binary) << "\xff\x01\n";
  Options options;
  CHECK(given_value(options)->is_null());
  options.value = "@" + json;
  CHECK(given_value(options)->find("a")->integer_or(0) == 1);
  options.as_text = true;
  CHECK(*given_value(options) == Value("{\"a\":1}"));
  options.as_text = false;
  options.as_bytes = true;
  CHECK(given_value(options)->if_binary()->size() == 8);
  options.as_bytes = false;
  options.value = "@@home";
  CHECK(*given_value(options) == Value("@home"));
  options.value.reset();
  options.file = binary;
  // What is no text can only be bytes.
  CHECK(*given_value(options) == Value(Bytes{0xff, 1}));
  CHECK(raw_value(*given_value(options)) == "\xff\x01");
  options.file = json + ".none";
  CHECK_FALSE(given_value(options).ok());
}

TEST_CASE("tables have columns of equal width, numbers to the right") {
  CHECK(table({{"NAME", "N"}, {"ä", "5"}, {"long name", "1234"}}) ==
        "NAME       N\n"
        "ä             5\n"
        "long name  1234\n");
  CHECK(table({}).empty());
}

TEST_CASE("amounts as people read them") {
  CHECK(readable_bytes(999) == "999 B");
  CHECK(readable_bytes(1000) == "1.0 kB");
  CHECK(readable_bytes(20'000'000) == "20.0 MB");
  CHECK(readable_bytes(999'960'000) == "1.0 GB");
  CHECK(readable_time(0) == "1970-01-01 00:00:00.000Z");
  CHECK(plural(1, "byte") == "1 byte");
  CHECK(plural(0, "byte") == "0 bytes");
  using Direction = Progress::Direction;
  CHECK(Progress::line(Direction::sending, 5'000'000, 20'000'000) ==
        "sent 5.0 MB of 20.0 MB (25%)");
  CHECK(Progress::line(Direction::sending, 21'000'000, 20'000'000) ==
        "sent 20.0 MB of 20.0 MB (100%)");
  CHECK(Progress::line(Direction::receiving, 1500, 0) == "received 1.5 kB");
}
