// What a Stream, and its updates, have in common with the callbacks that feed them.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <map>
#include <vector>

#include "client/connection.hpp"
#include "client/stream.hpp"

namespace conat::native {

Result<StreamOpenOptions> open_options(const StreamSettings& settings);
// Views of both, which must live as long as the item.
StreamSet stream_set(const MessageData& data, const StreamPublishSettings& settings);
// Of a request that stores one message.
Result<SetResult> stored_result(const Result<MessageData>& reply);
// Null: nothing is to be deleted.
Value erase_arguments(const StreamErase& what);
// The answer to a delete.
Result<std::vector<StreamSequence>> sequence_numbers(const Value& answer);

class Stream::State : public std::enable_shared_from_this<State> {
 public:
  State(std::shared_ptr<Connection> shared_connection, StreamSettings stream_settings)
      : connection(std::move(shared_connection)),
        driver(connection->driver),
        settings(std::move(stream_settings)) {}

  Status open();
  void close();
  void command(const std::string& name, const Value& arguments, bool many,
               Driver::OnStreamAnswer on_answer);
  // What to hand to the driver: calls under way are answered when this is closed, and told why
  // when the stream was refused.
  Driver::OnStreamAnswer pending(Driver::OnStreamAnswer on_answer);

  std::shared_ptr<Connection> connection;  // null: closed, or refused
  const std::shared_ptr<Driver> driver;
  const StreamSettings settings;
  StreamClientId id = 0;
  std::optional<Error> failure;  // why nothing can be asked any more

 private:
  std::map<std::uint64_t, Driver::OnStreamAnswer> calls_;
  std::uint64_t last_call_ = 0;
};

class StreamUpdates::State : public std::enable_shared_from_this<State> {
 public:
  State(std::shared_ptr<Connection> shared_connection, std::shared_ptr<Queue> updates)
      : connection(std::move(shared_connection)),
        driver(connection->driver),
        queue(std::move(updates)) {}

  Status open(const StreamSettings& settings, std::optional<StreamSequence> first);
  void wait(Completion<Status> done);
  void close();

  std::shared_ptr<Connection> connection;  // null: ended
  const std::shared_ptr<Driver> driver;
  const std::shared_ptr<Queue> queue;
  StreamClientId id = 0;

 private:
  void on_message(StreamMessage message);
  void push(StreamUpdate update);
  void tell(const Status& status);
  void finish(std::optional<Error> error);

  StreamSequence last_seq_ = 0;
  bool following_ = false;
  std::vector<Completion<Status>> waiting_;
};

}  // namespace conat::native
