#include "conat/stream/stream_config.hpp"

#include <limits>

#include "unit/stream/stream_fixture.hpp"

using namespace conat;
using namespace conat::test;

TEST_CASE("the whole configuration in the order of the specification") {
  StreamFixture f;
  const Value value = f.stream->config_value();
  Texts names;
  for (const auto& entry : *value.if_map()) names.push_back(entry.first);
  REQUIRE(names == Texts{"max_msgs", "max_age", "max_bytes", "max_msg_size", "max_bytes_per_second",
                         "max_msgs_per_second", "discard_policy", "allow_msg_ttl", "desc"});
  REQUIRE(encode_json(value) ==
          "{\"max_msgs\":-1,\"max_age\":0,\"max_bytes\":-1,\"max_msg_size\":-1,"
          "\"max_bytes_per_second\":-1,\"max_msgs_per_second\":-1,\"discard_policy\":\"old\","
          "\"allow_msg_ttl\":false,\"desc\":null}");
  REQUIRE(encode_json(f.stream->limits_value()) == "{}");
}

TEST_CASE("a partial configuration changes what it names") {
  StreamFixture f;
  const auto result = f.configure(Value(Value::Map{{"max_msgs", 100},
                                                   {"max_age", Value()},
                                                   {"unknown", 7},
                                                   {"allow_msg_ttl", true},
                                                   {"max_bytes", 12.9},
                                                   {"desc", Value(Value::Map{{"a", 1}})}}));
  REQUIRE(encode_json(*result) ==
          "{\"max_msgs\":100,\"max_age\":0,\"max_bytes\":12,\"max_msg_size\":-1,"
          "\"max_bytes_per_second\":-1,\"max_msgs_per_second\":-1,\"discard_policy\":\"old\","
          "\"allow_msg_ttl\":true,\"desc\":{\"a\":1}}");
  REQUIRE(encode_json(f.stream->limits_value()) ==
          "{\"max_msgs\":100,\"max_bytes\":12,\"allow_msg_ttl\":true,\"desc\":{\"a\":1}}");
  REQUIRE(f.configure(Value()).ok());
  REQUIRE(f.configure(Value(Value::Map{})).ok());
  REQUIRE(f.configure("not a map").ok());
  REQUIRE(f.stream->config().max_msgs == 100);
  // It is kept in the store.
  f.open();
  REQUIRE(f.stream->config_value() == *result);
}

TEST_CASE("numbers are brought into their range") {
  StreamFixture f;
  f.configure("max_msgs", -17);
  f.configure("max_age", -17);
  f.configure("max_bytes", std::numeric_limits<double>::infinity());
  REQUIRE(f.stream->config().max_msgs == -1);
  REQUIRE(f.stream->config().max_age_ms == 0);
  REQUIRE(f.stream->config().max_bytes == 9007199254740991);
}

TEST_CASE("values of the wrong type are refused, and nothing changes") {
  StreamFixture f;
  const auto refused = [&](std::string name, Value value) {
    const auto result =
        f.configure(Value(Value::Map{{"max_msgs", 5}, {std::move(name), std::move(value)}}));
    REQUIRE(!result.ok());
    REQUIRE(result.error().code.number == 400);
    REQUIRE(f.stream->config().max_msgs == -1);
  };
  refused("max_bytes", "many");
  refused("max_age", std::numeric_limits<double>::quiet_NaN());
  refused("discard_policy", "middle");
  refused("discard_policy", 3);
  refused("allow_msg_ttl", "yes");
}

TEST_CASE("stored configurations are read leniently") {
  const StreamConfig config = parse_config({{"max_msgs", "12"},
                                            {"max_bytes", "1e3"},
                                            {"max_age", "junk"},
                                            {"max_msg_size", "-7"},
                                            {"discard_policy", "new"},
                                            {"allow_msg_ttl", "true"},
                                            {"desc", "{\"x\":[1]}"},
                                            {"other", "1"}});
  REQUIRE(config.max_msgs == 12);
  REQUIRE(config.max_bytes == 1000);
  REQUIRE(config.max_age_ms == 0);
  REQUIRE(config.max_msg_size == -1);
  REQUIRE(config.discard_new);
  REQUIRE(config.allow_msg_ttl);
  REQUIRE(config.desc_json == "{\"x\":[1]}");
  REQUIRE(parse_config({{"desc", "{broken"}}).desc_json == "null");
}

TEST_CASE("only changed fields are written") {
  StreamConfig config;
  config.max_age_ms = 5;
  config.discard_new = true;
  config.allow_msg_ttl = true;
  config.desc_json = "\"d\"";
  const StoredConfig changed = changed_fields(StreamConfig(), config);
  REQUIRE(changed == StoredConfig{{"max_age", "5"},
                                  {"discard_policy", "new"},
                                  {"allow_msg_ttl", "true"},
                                  {"desc", "\"d\""}});
  REQUIRE(changed_fields(config, config).empty());
}
