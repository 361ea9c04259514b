// A service as a client of a broker: requests `[name, [args]]` on some subjects come out as
// ServiceCalls, and what answer() is given goes back: the result, or `null` with the header
// `error` (and `code`). The shell carries its transport.
//
// Calls may be answered in any order and late; at most max_open_calls wait, further ones are
// refused with code 429. Thread safety: none, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "conat/client/client.hpp"

namespace conat {

struct ServiceSubject {
  std::string subject;
  std::string queue;  // of those that answer, one for each queue does
};

struct ServiceCall {
  std::uint64_t id = 0;     // for answer()
  std::size_t subject = 0;  // index of the subject that it came on
  std::string name;
  Value::Array arguments;
};

// Transport effects of its client, and calls.
using ServiceHostEffect = std::variant<ClientEffect, ServiceCall>;

class ServiceHost {
 public:
  static constexpr std::size_t max_open_calls = 1000;

  ServiceHost(std::vector<ServiceSubject> subjects, ClientOptions client_options, Random random);
  ~ServiceHost();

  // Connects and subscribes; call once.
  void start(TimeMs now);
  // True while the subscriptions are confirmed.
  bool ready() const;
  // For the transport's input.
  Client& client();
  // Once for each call; the error's text goes out with the prefix `Error: `.
  void answer(TimeMs now, std::uint64_t call, const Result<Value>& result);
  void on_time(TimeMs now);
  std::optional<TimeMs> deadline() const;
  bool next(TimeMs now, ServiceHostEffect& effect);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace conat
