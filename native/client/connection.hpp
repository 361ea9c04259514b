// What the copies of a Client and its parts share: the connection is closed when the last of them
// goes.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <memory>

#include "client/driver.hpp"

namespace conat::native {

class Connection {
 public:
  explicit Connection(std::shared_ptr<Driver> shared_driver) : driver(std::move(shared_driver)) {}
  ~Connection() { driver->close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const std::shared_ptr<Driver> driver;
};

}  // namespace conat::native
