// What a stream that is held whole has in common with the callbacks that feed it.
//
// Thread safety: none, the loop's thread.
#pragma once

#include <map>

#include "client/connection.hpp"
#include "client/held_stream.hpp"
#include "conat/sync/dstream_store.hpp"

namespace conat::native {

class HeldStream::State : public std::enable_shared_from_this<State> {
 public:
  State(std::shared_ptr<Connection> shared_connection, HeldStreamSettings settings)
      : connection(std::move(shared_connection)),
        driver(connection->driver),
        settings_(std::move(settings)) {}
  virtual ~State() = default;

  // `done` gets an error, or nothing once the stream is loaded.
  void open(std::function<void(const std::optional<Error>& error)> done);
  void close();
  void ask(const std::string& command, const Value& arguments, Completion<Result<Value>> done);
  void load(StreamSequence first, Completion<Status> done);
  void watch(const std::shared_ptr<HeldChanges::Queue>& queue);
  // Begins a call that is answered with `closed` when this is closed before. `done` hands the
  // outcome on, once.
  template <class T>
  Completion<T> pending(Completion<T> done);

  virtual void erase(const StreamErase& what, Completion<Result<std::vector<StreamSequence>>> done);

  virtual std::size_t size() const = 0;  // 0 when it is closed, as the next
  virtual StreamSequence start_seq() const = 0;
  virtual HeldMessage at(std::size_t index) const = 0;  // below size()
  virtual StreamClientId below() const = 0;
  virtual void forget(const std::vector<StreamSequence>& seqs) = 0;

  std::shared_ptr<Connection> connection;  // null: closed
  const std::shared_ptr<Driver> driver;
  std::function<void(const Value& value, const Error& error)> on_reject;

 protected:
  virtual Status begin_open(StreamOpenOptions options, Driver::HeldHandlers handlers) = 0;
  virtual void begin_close() = 0;
  virtual Status begin_load(StreamSequence first, Driver::OnDone done) = 0;
  const HeldStreamSettings& settings() const { return settings_; }
  std::int64_t timeout_ms() const { return settings_.timeout.count(); }

 private:
  void tell(const StreamLogChange& change);
  void finish();
  void opened(const std::optional<Error>& error);

  const HeldStreamSettings settings_;
  std::function<void(const std::optional<Error>&)> opening_;
  std::vector<std::weak_ptr<HeldChanges::Queue>> watchers_;
  std::map<std::uint64_t, std::function<void()>> calls_;  // how each is told that this is closed
  std::uint64_t last_call_ = 0;
};

template <class T>
Completion<T> HeldStream::State::pending(Completion<T> done) {
  const std::uint64_t call = ++last_call_;
  calls_[call] = [done] { done(Error(ErrorKind::closed)); };
  return [self = shared_from_this(), call, done](T outcome) {
    if (self->calls_.erase(call) > 0) done(std::move(outcome));
  };
}

class HeldStream::CoreState : public HeldStream::State {
 public:
  using State::State;

  std::size_t size() const override;
  StreamSequence start_seq() const override;
  HeldMessage at(std::size_t index) const override;
  StreamClientId below() const override;
  void forget(const std::vector<StreamSequence>& seqs) override;
  const CoreStreamStore* store() const;  // null: closed
  void publish(const MessageData& data, const StreamPublishSettings& settings,
               Completion<Result<SetResult>> done);

 protected:
  Status begin_open(StreamOpenOptions options, Driver::HeldHandlers handlers) override;
  void begin_close() override { driver->close_core_stream(id_); }
  Status begin_load(StreamSequence first, Driver::OnDone done) override;

 private:
  CoreStreams& streams() const { return driver->fabric().core_streams(); }
  CoreStreamId id_ = 0;
};

class HeldStream::DState : public HeldStream::State {
 public:
  using State::State;

  void erase(const StreamErase& what,
             Completion<Result<std::vector<StreamSequence>>> done) override;
  std::size_t size() const override;
  StreamSequence start_seq() const override;
  HeldMessage at(std::size_t index) const override;
  StreamClientId below() const override;
  void forget(const std::vector<StreamSequence>& seqs) override;
  const DStreamStore* store() const;  // null: closed
  Status publish(const Value& value, const Value& headers, Milliseconds ttl);
  void save(Completion<Status> done);

 protected:
  Status begin_open(StreamOpenOptions options, Driver::HeldHandlers handlers) override;
  void begin_close() override { driver->close_dstream(id_); }
  Status begin_load(StreamSequence first, Driver::OnDone done) override;

 private:
  DStreams& streams() const { return driver->fabric().dstreams(); }
  DStreamId id_ = 0;
};

}  // namespace conat::native
