#include "client/service.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "client/client.hpp"

namespace conat::native {
namespace {

Value error_headers(const Error& error) {
  // As other clients write them: the text of a thrown error.
  const bool plain = error.text.rfind("Error: ", 0) != 0;
  Value::Map headers{{"error", Value(plain ? "Error: " + error.text : error.text)}};
  if (error.code.number != 0) headers.emplace_back("code", Value(error.code.number));
  if (!error.code.word.empty()) headers.emplace_back("code", Value(error.code.word));
  return Value(std::move(headers));
}

Error thrown(const std::string& text) { return Error(ErrorCode{}, text); }

Awaitable<Result<Value>> run(const ServiceMethods& methods, Message request) {
  Result<Value> decoded = request.data.decode();
  Value::Array* const parts = decoded.ok() ? decoded->if_array() : nullptr;
  if (parts == nullptr || parts->empty()) co_return thrown("malformed request");
  const std::string* const name = parts->front().if_text();
  const auto method = name == nullptr ? methods.end() : methods.find(*name);
  if (method == methods.end()) {
    co_return thrown((name == nullptr ? encode_json(parts->front()) : *name) + " not defined");
  }
  Value::Array arguments;
  if (parts->size() > 1 && (*parts)[1].if_array() != nullptr) {
    arguments = std::move(*(*parts)[1].if_array());
  }
  co_return co_await method->second(std::move(request), std::move(arguments));
}

Awaitable<void> answer(Client client, std::shared_ptr<const ServiceMethods> methods,
                       Message request) {
  const std::string reply_subject(request.reply_subject());
  Message asked;  // what is needed to answer
  asked.data.headers.set(header::reply, Value(reply_subject));
  Result<Value> result = Error(ErrorKind::internal);
  try {
    result = co_await run(*methods, std::move(request));
  } catch (const std::exception& error) {
    result = thrown(error.what());
  } catch (...) {
    result = thrown("the method threw something");
  }
  if (result.ok()) {
    co_await client.respond(asked, *result);
  } else {
    PublishSettings settings;
    settings.headers = error_headers(result.error());
    co_await client.respond(asked, Value(), settings);
  }
}

Awaitable<void> serve(Client client, std::shared_ptr<Subscription> requests,
                      std::shared_ptr<const ServiceMethods> methods) {
  while (auto request = co_await requests->next()) {
    asio::co_spawn(client.loop(), answer(client, methods, *std::move(request)), asio::detached);
  }
}

}  // namespace

void Service::close() {
  if (requests_) requests_->close();
}

bool Service::ended() const { return requests_->ended(); }

Result<Value> service_result(const Message& reply) {
  const auto error = reply.data.headers.get("error");
  if (!error) return reply.data.decode();
  ErrorCode code;
  if (const auto given = reply.data.headers.get("code")) {
    code.number = static_cast<int>(given->integer_or(0));
    code.word = std::string(given->text_or({}));
  }
  const std::string* const text = error->if_text();
  return Error(std::move(code), text == nullptr ? encode_json(*error) : *text);
}

void Client::begin_service(const std::string& subject, const ServiceMethods& methods,
                           const ServiceSettings& settings,
                           Completion<Result<Service>> done) const {
  SubscribeSettings subscribe;
  subscribe.queue = settings.queue;
  subscribe.timeout = settings.timeout;
  begin_subscribe(subject, subscribe,
                  [self = *this, methods = std::make_shared<const ServiceMethods>(methods),
                   done](Result<Subscription> subscribed) {
                    if (!subscribed.ok()) return done(subscribed.error());
                    const auto requests = std::make_shared<Subscription>(std::move(*subscribed));
                    asio::co_spawn(self.loop(), serve(self, requests, methods), asio::detached);
                    done(Service(requests));
                  });
}

void Client::begin_call(const std::string& subject, const Value& request,
                        const RequestSettings& settings, Completion<Result<Value>> done) const {
  MessageData data = MessageData::of(request, Headers(settings.headers), settings.encoding);
  begin_request(subject, std::move(data), settings, [done](const Result<Message>& reply) {
    if (!reply.ok()) return done(reply.error());
    done(service_result(*reply));
  });
}

Result<Subscription> Client::call_many(std::string_view subject, std::string method,
                                       Value::Array arguments,
                                       const RequestManySettings& settings) const {
  const Value request(Value::Array{std::move(method), std::move(arguments)});
  // Any of the services may answer null, and errors travel as null: neither ends the others'.
  return many(subject, request, settings, false);
}

}  // namespace conat::native
