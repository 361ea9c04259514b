// The native client as one of the peers of the integration suite: a program that is told what to
// do.
//
// Frames on standard input and output: four bytes of length, the most significant first, and a
// MessagePack map. Requests {id, op, ...} are answered by {id, ...} or {id, error, code?}; messages
// come as {pattern, subject, raw, encoding, headers?}. It ends with its input.
// clang-format off
#include <utility>
// clang-format on

#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <cstdio>
#include <map>

#include "client/client.hpp"
#include "stores.hpp"

using namespace conat::native;

namespace {

constexpr std::size_t kMaxFrameBytes = 1u << 30;
constexpr Milliseconds kTimeout{120'000};

class Peer {
 public:
  explicit Peer(asio::io_context& loop) : loop_(loop), input_(loop, ::dup(STDIN_FILENO)) {}

  Awaitable<void> run() {
    while (const auto request = co_await read()) {
      asio::co_spawn(loop_, answer(*request), asio::detached);
    }
    loop_.stop();
  }

 private:
  Awaitable<std::optional<Value>> read() {
    std::array<std::uint8_t, 4> head{};
    if (!co_await fill(asio::buffer(head))) co_return std::nullopt;
    std::size_t size = 0;
    for (const std::uint8_t byte : head) size = size << 8 | byte;
    if (size > kMaxFrameBytes) co_return std::nullopt;
    Bytes body(size);
    if (!co_await fill(asio::buffer(body))) co_return std::nullopt;
    Result<Value> value = conat::decode_msgpack(body);
    if (!value.ok()) co_return std::nullopt;
    co_return std::move(*value);
  }

  Awaitable<bool> fill(asio::mutable_buffer buffer) {
    try {
      co_await asio::async_read(input_, buffer, asio::use_awaitable);
      co_return true;
    } catch (const boost::system::system_error&) {
      co_return false;
    }
  }

  static void write(const Value& value) {
    const Bytes body = encode_msgpack(value);
    const auto size = static_cast<std::uint32_t>(body.size());
    for (int shift = 24; shift >= 0; shift -= 8)
      std::putchar(static_cast<int>(size >> shift & 255));
    std::fwrite(body.data(), 1, body.size(), stdout);
    std::fflush(stdout);
  }

  Awaitable<void> answer(Value request) {
    Result<Value> result = co_await carry_out(request);
    Value reply = result.ok() ? std::move(*result) : Value();
    reply.set("id", *request.find("id"));
    if (!result.ok()) {
      reply.set("error", Value(result.error().text));
      if (result.error().code.number != 0) reply.set("code", Value(result.error().code.number));
    }
    write(reply);
  }

  static std::string text(const Value& request, const char* name) {
    const Value* found = request.find(name);
    return found == nullptr ? std::string() : std::string(found->text_or({}));
  }

  static MessageData message(const Value& request) {
    const Value* raw = request.find("raw");
    const Value* encoding = request.find("encoding");
    const Value* headers = request.find("headers");
    MessageData data;
    if (raw != nullptr && raw->if_binary() != nullptr) data.raw = *raw->if_binary();
    if (encoding != nullptr && encoding->integer_or(0) == 1) data.encoding = PayloadEncoding::json;
    if (headers != nullptr) data.headers = Headers(*headers);
    return data;
  }

  Awaitable<Result<Value>> carry_out(const Value& request) {
    const std::string op = text(request, "op");
    if (op == "open") co_return co_await open(request);
    if (!client_) co_return Error(ErrorKind::invalid_argument, "not open");
    const std::string subject = text(request, "subject");
    if (op == "subscribe") co_return co_await subscribe(subject, text(request, "queue"));
    if (op == "unsubscribe") {
      const auto found = subscriptions_.find(subject);
      if (found != subscriptions_.end()) {
        found->second->close();
        subscriptions_.erase(found);
      }
      co_return co_await subscriptions();  // the broker has worked through it
    }
    if (op == "subscriptions") co_return co_await subscriptions();
    if (op == "publish") {
      PublishSettings settings;
      settings.timeout = kTimeout;
      const auto sent = co_await client_->publish(subject, message(request), settings);
      if (!sent.ok()) co_return sent.error();
      co_return object("count", sent->count);
    }
    if (op == "send") {
      const auto sent = client_->publish_now(subject, message(request));
      if (!sent.ok()) co_return sent.error();
      co_return object("bytes", std::uint64_t{*sent});
    }
    if (op == "interest") {
      const Milliseconds timeout(request.find("timeout")->integer_or(0));
      const auto interest = co_await client_->wait_for_interest(subject, timeout);
      if (!interest.ok()) co_return interest.error();
      co_return object("interest", *interest);
    }
    if (op == "store") co_return co_await stores_->carry_out(request);
    if (op == "socket_listen") co_return co_await socket_listen(subject);
    if (op == "socket_talk") co_return co_await socket_talk(subject, request);
    co_return Error(ErrorKind::invalid_argument, "unknown operation " + op);
  }

  Awaitable<Result<Value>> open(const Value& request) {
    ClientSettings settings;
    settings.address = text(request, "address");
    if (text(request, "packets") == "text") settings.encoding = PacketEncoding::text;
    if (request.find("token") != nullptr) settings.auth = object("token", text(request, "token"));
    settings.system_password = text(request, "systemPassword");
    settings.reconnection_delay = Milliseconds(20);
    settings.reconnection_delay_max = Milliseconds(100);
    auto client = connect(loop_, settings);
    if (!client.ok()) co_return client.error();
    client_ = std::move(*client);
    stores_.emplace(*client_);
    const Status status = co_await client_->wait_until_signed_in(kTimeout);
    if (!status.ok()) co_return status.error();
    co_return client_->info();
  }

  Awaitable<Result<Value>> subscribe(std::string pattern, std::string queue) {
    SubscribeSettings settings;
    settings.queue = queue;
    auto subscription = co_await client_->subscribe(pattern, settings);
    if (!subscription.ok()) co_return subscription.error();
    auto shared = std::make_shared<Subscription>(std::move(*subscription));
    subscriptions_[pattern] = shared;
    asio::co_spawn(loop_, pass_on(std::move(shared)), asio::detached);
    co_return object("pattern", pattern);
  }

  static Awaitable<void> pass_on(std::shared_ptr<Subscription> subscription) {
    while (const auto message = co_await subscription->next()) {
      Value event = object("pattern", subscription->subject(), "subject", message->subject, "raw",
                           message->data.raw, "encoding", static_cast<int>(message->data.encoding));
      if (!message->data.headers.empty()) event.set("headers", message->data.headers.value());
      write(event);
    }
  }

  // "_INBOX.{10 letters or digits}.*"
  static bool is_own_inbox(std::string_view pattern) {
    return pattern.size() == 19 && pattern.starts_with("_INBOX.") && pattern.ends_with(".*");
  }

  Awaitable<Result<Value>> subscriptions() {
    const auto patterns = co_await client_->server_subscriptions();
    if (!patterns.ok()) co_return patterns.error();
    Value::Array own;
    for (const std::string& pattern : *patterns) {
      if (!is_own_inbox(pattern)) own.emplace_back(pattern);
    }
    co_return object("patterns", std::move(own));
  }

  // Listens, echoes what comes with its headers, and answers requests with their values in an
  // array.
  Awaitable<Result<Value>> socket_listen(std::string subject) {
    auto server = client_->socket().listen(subject);
    if (!server.ok()) co_return server.error();
    const Status ready = co_await server->wait_until_ready(kTimeout);
    if (!ready.ok()) co_return ready.error();
    asio::co_spawn(loop_, accept(*client_, loop_, std::move(*server)), asio::detached);
    co_return Value(Value::Map{});
  }

  static Awaitable<void> accept(Client client, asio::io_context& loop, SocketServer server) {
    while (const auto socket = co_await server.next()) {
      asio::co_spawn(loop, echo(*socket), asio::detached);
      asio::co_spawn(loop, answer_requests(client, *socket), asio::detached);
    }
  }

  static Awaitable<void> echo(Socket socket) {
    while (auto data = co_await socket.next()) {
      const Status written = socket.write(std::move(*data));
      if (!written.ok()) co_return;
    }
  }

  static Awaitable<void> answer_requests(Client client, Socket socket) {
    while (const auto request = co_await socket.next_request()) {
      const Result<Value> question = request->data.decode();
      const Value answer(array(question.ok() ? *question : Value()));
      co_await client.respond(*request, answer);
    }
  }

  // Writes 0 to count - 1 with headers {n}, reads as many, asks "question", and ends.
  Awaitable<Result<Value>> socket_talk(std::string subject, const Value& request) {
    const std::int64_t count = request.find("count")->integer_or(0);
    const auto socket = client_->socket().connect(subject);
    if (!socket.ok()) co_return socket.error();
    SocketWriteSettings settings;
    for (std::int64_t i = 0; i < count; ++i) {
      settings.headers = object("n", i);
      const Status written = socket->write(i, settings);
      if (!written.ok()) co_return written.error();
    }
    Value::Array echoes;
    while (static_cast<std::int64_t>(echoes.size()) < count) {
      const auto data = co_await socket->next_within(kTimeout);
      if (!data) co_return Error(ErrorKind::timeout);
      const Result<Value> value = data->decode();
      echoes.emplace_back(array(value.ok() ? *value : Value(), data->headers.value()));
    }
    const auto answer = co_await socket->request("question");
    if (!answer.ok()) co_return answer.error();
    const Result<Value> said = answer->data.decode();
    co_await socket->end();
    co_return object("echoes", std::move(echoes), "answer", said.ok() ? *said : Value());
  }

  asio::io_context& loop_;
  asio::posix::stream_descriptor input_;
  std::optional<Client> client_;
  std::optional<peer::Stores> stores_;
  std::map<std::string, std::shared_ptr<Subscription>> subscriptions_;
};

}  // namespace

int main() {
  asio::io_context loop{1};
  Peer peer(loop);
  asio::co_spawn(loop, peer.run(), asio::detached);
  loop.run();
}
