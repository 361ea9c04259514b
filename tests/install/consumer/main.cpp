// Asks itself through the broker whose address it is given, and says what was answered.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstdio>

#include "client/client.hpp"

using namespace conat::native;

namespace {

Awaitable<Result<Value>> add(Message, Value::Array numbers) {
  co_return Value(numbers.at(0).integer_or(0) + numbers.at(1).integer_or(0));
}

Awaitable<void> talk(Client client, int& exit_code) {
  ServiceMethods methods;
  methods["add"] = add;
  const auto service = co_await client.service("math", methods);
  if (!service.ok()) co_return;
  const auto sum = co_await client.call("math", "add", array(40, 2));
  if (!sum.ok()) co_return;
  std::printf("40 + 2 = %s\n", conat::encode_json(*sum).c_str());
  exit_code = 0;
}

}  // namespace

int main(int argc, char** argv) {
  boost::asio::io_context loop;
  ClientSettings settings;
  settings.address = argc > 1 ? argv[1] : "";
  auto client = connect(loop, settings);
  if (!client.ok()) return 2;
  int exit_code = 1;
  boost::asio::co_spawn(loop, talk(std::move(*client), exit_code), boost::asio::detached);
  loop.run();
  return exit_code;
}
