// A key-value store that two clients change at once, and that both end with the same.
//
//   usage: board [http://127.0.0.1:8080]
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

Awaitable<void> work(Client ann, Client bob) {
  // Of an object that both change, every field is merged by itself.
  DkvSettings settings("example-board");
  settings.merge = MergeKind::fields;
  auto hers = co_await ann.dkv(settings);
  auto his = co_await bob.dkv(settings);
  if (!hers.ok() || !his.ok()) co_return void(std::cerr << "cannot open the board\n");

  // Reads and writes are local and immediate; saving happens in the background.
  check(hers->set("note-1", object("text", "Hello", "x", 10)));
  check(co_await hers->save());  // on stable storage now

  // Bob hears of it, and changes the place while Ann changes the text.
  auto changes = his->changes();
  while (!his->has("note-1")) co_await changes.next();
  check(his->set("note-1", object("text", "Hello", "x", 99)));
  check(hers->set("note-1", object("text", "Hello, Bob", "x", 10)));
  check(co_await hers->save());
  check(co_await his->save());

  const Value both = object("text", "Hello, Bob", "x", 99);
  while (his->get("note-1") != both) co_await changes.next();
  std::cout << encode_json(*his->get("note-1")) << '\n';
  check(hers->erase("note-1"));
  check(co_await hers->save());
}

int main(int argc, char** argv) {
  boost::asio::io_context loop;
  const std::string address = argc > 1 ? argv[1] : "";
  auto ann = connect(loop, {address});
  auto bob = connect(loop, {address});
  if (!ann.ok() || !bob.ok()) return 1;
  boost::asio::co_spawn(loop, work(std::move(*ann), std::move(*bob)), boost::asio::detached);
  loop.run();
}
