// The drivers of one io_context, so that its destruction takes them along: a coroutine that waits
// for a client is held by the client that it holds.
//
// Thread safety: as the io_context's construction and destruction.
#pragma once

// clang-format off
#include <utility>
// clang-format on

#include <boost/asio/execution_context.hpp>
#include <memory>
#include <vector>

namespace conat::native {

class Driver;

class DriverRegistry : public boost::asio::execution_context::service {
 public:
  static boost::asio::execution_context::id id;

  explicit DriverRegistry(boost::asio::execution_context& context) : service(context) {}
  void add(std::weak_ptr<Driver> driver);

 private:
  void shutdown() override;

  std::vector<std::weak_ptr<Driver>> drivers_;
};

}  // namespace conat::native
