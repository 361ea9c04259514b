#include "net/write_queue.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <string>

namespace conat::net {
namespace {

SharedBytes bytes_of(std::string_view text) { return SharedBytes::copy_of(as_bytes(text)); }

struct Writer {
  std::array<iovec, WriteQueue::max_parts> parts{};
  Bytes scratch = Bytes(65536);

  // What one system call would take, as text.
  std::string gather(const WriteQueue& queue, WriteQueue::Batch& batch) {
    batch = queue.gather(parts, scratch);
    std::string text;
    for (std::size_t i = 0; i < batch.parts; ++i) {
      text.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    }
    return text;
  }
};

}  // namespace

TEST_CASE("Small buffers are joined, large ones written in place") {
  WriteQueue queue;
  Writer writer;
  WriteQueue::Batch batch;
  const std::string large(10'000, 'L');
  const SharedBytes large_bytes = bytes_of(large);
  for (const char* text : {"a", "bc"}) queue.push(bytes_of(text));
  queue.push(large_bytes);
  for (const char* text : {"d", "ef"}) queue.push(bytes_of(text));
  CHECK(queue.bytes() == 10'006);
  CHECK(writer.gather(queue, batch) == "abc" + large + "def");
  CHECK(batch.parts == 3);
  CHECK(batch.bytes == 10'006);
  CHECK(writer.parts[1].iov_base == large_bytes.data());
  queue.consume(batch.bytes);
  CHECK(queue.empty());
  CHECK(queue.bytes() == 0);
}

TEST_CASE("A single buffer is not copied, whatever its size") {
  WriteQueue queue;
  Writer writer;
  WriteQueue::Batch batch;
  const SharedBytes one = bytes_of("x");
  queue.push(one);
  CHECK(writer.gather(queue, batch) == "x");
  CHECK(writer.parts[0].iov_base == one.data());
}

TEST_CASE("One system call takes a bounded number of parts and bytes") {
  WriteQueue queue;
  Writer writer;
  WriteQueue::Batch batch;
  const SharedBytes large = bytes_of(std::string(5000, 'x'));
  for (int i = 0; i < 100; ++i) queue.push(large);
  CHECK(writer.gather(queue, batch).size() == WriteQueue::max_parts * 5000);
  queue.clear();
  CHECK(queue.empty());
  CHECK(queue.bytes() == 0);
  const SharedBytes small = bytes_of(std::string(1000, 'y'));
  for (int i = 0; i < 100; ++i) queue.push(small);
  CHECK(writer.gather(queue, batch).size() == 65'000);
  CHECK(batch.parts == 1);
}

TEST_CASE("Whatever part is written, the stream of bytes stays the same") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    WriteQueue queue;
    Writer writer;
    std::string expected;
    std::string written;
    for (int step = 0; step < 200; ++step) {
      if (random() % 3 != 0) {
        const std::size_t size = random() % 50 == 0   ? 65'000 + random() % 5000
                                 : random() % 10 == 0 ? 1 + random() % 9000
                                                      : 1 + random() % 200;
        std::string text;
        for (std::size_t i = 0; i < size; ++i) text.push_back(static_cast<char>(random()));
        queue.push(bytes_of(text));
        expected += text;
      } else if (!queue.empty()) {
        WriteQueue::Batch batch;
        const std::string offered = writer.gather(queue, batch);
        REQUIRE(batch.bytes == offered.size());
        REQUIRE(batch.bytes > 0);
        const std::size_t taken =
            random() % 2 == 0   ? batch.bytes
            : random() % 2 == 0 ? 1 + random() % batch.bytes
                                : batch.bytes - random() % std::min<std::size_t>(batch.bytes, 4200);
        written += offered.substr(0, taken);
        queue.consume(taken);
      }
      REQUIRE(queue.bytes() == expected.size() - written.size());
    }
    while (!queue.empty()) {
      WriteQueue::Batch batch;
      written += writer.gather(queue, batch);
      queue.consume(batch.bytes);
    }
    REQUIRE(written == expected);
  }
}

TEST_CASE("The last bytes of a large buffer do not keep all of it") {
  WriteQueue queue;
  Writer writer;
  WriteQueue::Batch batch;
  const std::string large = std::string(99'000, 'L') + std::string(999, 'R') + "E";
  const SharedBytes shared = bytes_of(large);
  queue.push(shared);
  queue.push(bytes_of("next"));
  queue.consume(50'000);
  writer.gather(queue, batch);
  CHECK(writer.parts[0].iov_base == shared.data() + 50'000);
  queue.consume(49'000);
  CHECK(queue.bytes() == 1004);
  CHECK(writer.gather(queue, batch) == large.substr(99'000) + "next");
  queue.drop_unstarted(false);
  CHECK(writer.gather(queue, batch) == large.substr(99'000));
  CHECK((writer.parts[0].iov_base < shared.data() ||
         writer.parts[0].iov_base >= shared.data() + shared.size()));
  queue.consume(999);
  queue.drop_unstarted(false);
  CHECK(writer.gather(queue, batch) == "E");
  queue.consume(1);
  CHECK(queue.empty());
  queue.push(bytes_of("new"));
  queue.drop_unstarted(false);
  CHECK(queue.empty());
}

TEST_CASE("Dropping keeps what is begun, and the last one if wanted") {
  const auto rest_after = [](std::size_t written, bool keep_last) {
    WriteQueue queue;
    Writer writer;
    WriteQueue::Batch batch;
    for (const char* text : {"abc", "def", "ghi"}) queue.push(bytes_of(text));
    queue.consume(written);
    queue.drop_unstarted(keep_last);
    const std::string rest = queue.empty() ? std::string() : writer.gather(queue, batch);
    CHECK(queue.bytes() == rest.size());
    return rest;
  };
  CHECK(rest_after(0, false).empty());
  CHECK(rest_after(0, true) == "ghi");
  CHECK(rest_after(1, false) == "bc");
  CHECK(rest_after(1, true) == "bcghi");
  CHECK(rest_after(3, true) == "ghi");
  CHECK(rest_after(7, false) == "hi");
  CHECK(rest_after(7, true) == "hi");
  CHECK(rest_after(9, true).empty());
}

}  // namespace conat::net
