#include "conat/base/bytes.hpp"

#include <catch2/catch.hpp>

#include "conat/base/result.hpp"

using namespace conat;

TEST_CASE("shared bytes are one block with many owners", "[bytes]") {
  const SharedBytes first = SharedBytes::copy_of(as_bytes("hello"));
  const std::uint8_t* data = nullptr;
  {
    SharedBytes second = first;
    CHECK(second.data() == first.data());
    SharedBytes third = std::move(second);
    CHECK(second.empty());
    second = third;
    data = second.data();
  }
  CHECK(first.data() == data);
  CHECK(as_text(first.view()) == "hello");
}

TEST_CASE("shared bytes may be empty", "[bytes]") {
  CHECK(SharedBytes().empty());
  CHECK(SharedBytes().view().empty());
  CHECK(SharedBytes::copy_of({}).empty());
}

TEST_CASE("errors carry the registry's code and text", "[result]") {
  const Error timeout(ErrorKind::timeout);
  CHECK(timeout.code == ErrorCode{408, ""});
  CHECK(timeout.text == "timeout - Error: operation has timed out");
  const Error own(ErrorKind::wrong_last_sequence, "5 is not 4");
  CHECK(own.code == ErrorCode{0, "wrong-last-sequence"});
  CHECK(own.text == "5 is not 4");
  const Result<int> good = 5;
  const Result<int> bad = own;
  CHECK(good.ok());
  CHECK(*good == 5);
  CHECK_FALSE(bad.ok());
  CHECK(bad.error().text == "5 is not 4");
}
