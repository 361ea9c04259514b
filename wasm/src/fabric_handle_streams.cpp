// The part of FabricHandle that reaches clients of streams.
#include <utility>

#include "fabric_handle.hpp"

namespace conat {
namespace {

bool flag(const Value& options, const char* name) {
  const Value* value = options.find(name);
  return value != nullptr && value->bool_or(false);
}

Value part(const Value& options, const char* name) {
  const Value* value = options.find(name);
  return value == nullptr ? Value() : *value;
}

}  // namespace

StreamOpenOptions FabricHandle::take_stream_options(const std::string& scope,
                                                    const std::string& path,
                                                    const std::string& service,
                                                    std::uint32_t options_length) {
  window_used_ = 0;
  const Value given = take_value(options_length);
  StreamOpenOptions options;
  options.scope = scope;
  options.path = path;
  options.service = service;
  options.ephemeral = flag(given, "ephemeral");
  options.sync = flag(given, "sync");
  options.compression = part(given, "compression");
  options.config = part(given, "config");
  options.start_seq = part(given, "start_seq").integer_or(0);
  return options;
}

Answer FabricHandle::stream_open(double now, const std::string& scope, const std::string& path,
                                 const std::string& service, std::uint32_t options_length) {
  StreamOpenOptions options = take_stream_options(scope, path, service, options_length);
  options.follow = StreamFollow::nothing;
  return answer(fabric_.streams().open(milliseconds(now), owner, std::move(options)));
}

void FabricHandle::stream_close(double now, std::uint32_t stream) {
  fabric_.streams().close(milliseconds(now), stream);
}

Answer FabricHandle::stream_request(double now, std::uint32_t stream, std::uint32_t headers_length,
                                    std::uint32_t raw_length, std::uint32_t encoding,
                                    double timeout_ms, bool many) {
  window_used_ = 0;
  MessageData data = take_data(headers_length, raw_length, encoding);
  StreamCallOptions options;
  options.timeout_ms = milliseconds(timeout_ms);
  options.many = many;
  options.owner = owner;
  return static_cast<Answer>(
      fabric_.streams().request(milliseconds(now), stream, std::move(data), options));
}

void FabricHandle::stream_follow_changes(double now, std::uint32_t stream) {
  fabric_.streams().follow_changes(milliseconds(now), stream);
}

void FabricHandle::stream_set_reconnect_delay(double delay_ms) {
  fabric_.streams().set_reconnect_delay(milliseconds(delay_ms));
}

}  // namespace conat
