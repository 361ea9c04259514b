// A conversation in a stream that both sides hold: one's own messages are there at once, and the
// order is the same for both in the end.
//
//   usage: chat [http://127.0.0.1:8080]
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstdlib>
#include <iostream>

#include "client/client.hpp"

using namespace conat::native;

// Errors are values; this program ends with the first.
void check(const Status& status) {
  if (status.ok()) return;
  std::cerr << status.error().text << '\n';
  std::exit(1);
}

Awaitable<void> talk(Client ann, Client bob) {
  auto hers = co_await ann.dstream({"example-chat"});
  auto his = co_await bob.dstream({"example-chat"});
  if (!hers.ok() || !his.ok()) co_return void(std::cerr << "cannot open the chat\n");

  auto at_bob = his->changes();
  auto at_ann = hers->changes();
  check(hers->publish(object("from", "Ann", "text", "Tea?")));
  std::cout << "Ann has " << hers->size() << '\n';  // not saved yet

  // Bob answers when the stream tells him; his own message comes back to him as well.
  co_await at_bob.next();
  check(his->publish(object("from", "Bob", "text", "Gladly")));
  check(co_await his->save());
  co_await at_ann.next();  // her own
  co_await at_ann.next();
  for (const Value& message : hers->all()) std::cout << encode_json(message) << '\n';

  StreamErase everything;
  everything.all = true;
  const auto gone = co_await hers->erase(everything);
  if (gone.ok()) std::cout << "deleted " << gone->size() << '\n';
}

int main(int argc, char** argv) {
  boost::asio::io_context loop;
  const std::string address = argc > 1 ? argv[1] : "";
  auto ann = connect(loop, {address});
  auto bob = connect(loop, {address});
  if (!ann.ok() || !bob.ok()) return 1;
  boost::asio::co_spawn(loop, talk(std::move(*ann), std::move(*bob)), boost::asio::detached);
  loop.run();
}
