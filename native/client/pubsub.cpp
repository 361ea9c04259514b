#include "client/pubsub.hpp"

#include "client/base64.hpp"
#include "client/connection.hpp"

namespace conat::native {
namespace {

bool is_token(std::string_view text) {
  return !text.empty() && text.find_first_of(" \t\r\n\v\f.*>") == std::string_view::npos;
}

}  // namespace

Result<std::string> PubSub::subject_of(const PubSubSettings& settings) {
  if (!is_token(settings.project_id)) {
    return Error(ErrorKind::invalid_argument,
                 "project_id must be a text without dots, spaces and wildcards");
  }
  if (!is_token(settings.name)) {
    return Error(ErrorKind::invalid_argument,
                 "the name must be a text without dots, spaces and wildcards");
  }
  return "project." + settings.project_id + ".-.pubsub-" + settings.name + "." +
         (settings.path.empty() ? "-" : base64(as_bytes(settings.path)));
}

Status PubSub::set(const Value& value) {
  if (!connection_) return Error(ErrorKind::closed);
  const auto sent = connection_->driver->publish_now(
      subject(), MessageData::of(value, Headers(), PayloadEncoding::msgpack));
  if (!sent.ok()) return sent.error();
  return Nothing{};
}

void PubSub::begin_next(const std::shared_ptr<Queue>& queue,
                        Completion<std::optional<Value>> done) {
  queue->next(Milliseconds(0), [queue, done](std::optional<Message> message) {
    if (!message) return done(std::nullopt);
    Result<Value> value = message->data.decode();
    if (!value.ok()) return begin_next(queue, done);
    done(std::move(*value));
  });
}

void PubSub::close() {
  subscription_->close();
  connection_.reset();
}

}  // namespace conat::native
