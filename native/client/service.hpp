// Services: requests `[name, [arguments]]`, answered by functions.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "client/settings.hpp"
#include "client/subscription.hpp"
#include "conat/wire/message.hpp"

namespace conat::native {

// Answers one call. Calls are handled at the same time. An error arrives at the caller as its text
// and code.
using ServiceMethod =
    std::function<Awaitable<Result<Value>>(Message request, Value::Array arguments)>;
using ServiceMethods = std::map<std::string, ServiceMethod, std::less<>>;

struct ServiceSettings {
  ServiceSettings() {}

  std::string queue = "0";  // of the services of one queue group one gets each call
  Milliseconds timeout{limits::request_timeout_ms};  // for the server's confirmation
};

// Answers until it is closed or destroyed; calls under way are still answered.
class Service {
 public:
  ~Service() { close(); }
  Service(Service&&) noexcept = default;
  Service& operator=(Service&&) = delete;

  void close();
  bool ended() const;

 private:
  friend class Client;
  explicit Service(std::shared_ptr<Subscription> requests) : requests_(std::move(requests)) {}

  std::shared_ptr<Subscription> requests_;
};

// What a service's answer says: its result, or the error that it met.
Result<Value> service_result(const Message& reply);

}  // namespace conat::native
