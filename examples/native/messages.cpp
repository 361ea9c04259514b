// Publish, subscribe, ask and answer with the native client.
//
//   usage: messages [http://127.0.0.1:8080]
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <iostream>

#include "client/client.hpp"

using namespace conat::native;

// Every call is a coroutine of its own; an error would arrive at the caller.
Awaitable<Result<Value>> twice(Message, Value::Array arguments) {
  if (arguments.size() != 1) co_return Error(ErrorKind::invalid_argument);
  co_return Value(2 * arguments.front().number_or(0));
}

Awaitable<void> talk(Client client) {
  // `*` matches one token of a subject, `>` all the rest.
  auto news = co_await client.subscribe("news.*");
  if (!news.ok()) co_return void(std::cerr << news.error().text << '\n');

  const auto sent = co_await client.publish("news.today", object("title", "It works"));
  if (sent.ok()) std::cout << "delivered to " << sent->count << '\n';
  if (const auto message = co_await news->next()) {
    const Value data = *message->data.decode();
    std::cout << message->subject << ": " << data.find("title")->text_or("") << '\n';
  }

  ServiceMethods methods;
  methods["twice"] = twice;
  auto service = co_await client.service("calculator", methods);
  const auto answer = co_await client.call("calculator", "twice", array(21));
  if (answer.ok()) std::cout << "twice 21 is " << answer->number_or(0) << '\n';

  const auto nobody = co_await client.request("nobody.there", "hello");
  if (!nobody.ok()) std::cout << nobody.error().text << '\n';
}  // the last handle goes, and the connection with it: run() returns

int main(int argc, char** argv) {
  boost::asio::io_context loop;
  auto client = connect(loop, {argc > 1 ? argv[1] : ""});
  if (!client.ok()) {
    std::cerr << client.error().text << '\n';
    return 1;
  }
  boost::asio::co_spawn(loop, talk(std::move(*client)), boost::asio::detached);
  loop.run();
}
