#include "client/driver_registry.hpp"

#include "client/driver.hpp"

namespace conat::native {

boost::asio::execution_context::id DriverRegistry::id;

void DriverRegistry::add(std::weak_ptr<Driver> driver) {
  std::erase_if(drivers_, [](const std::weak_ptr<Driver>& each) { return each.expired(); });
  drivers_.push_back(std::move(driver));
}

void DriverRegistry::shutdown() {
  for (const std::weak_ptr<Driver>& each : std::exchange(drivers_, {})) {
    if (const std::shared_ptr<Driver> driver = each.lock()) driver->abandon();
  }
}

}  // namespace conat::native
