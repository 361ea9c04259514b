// A Store that fails at will: everything goes to another one, until the chosen write.
#pragma once

#include "conat/stream/store.hpp"

namespace conat::test {

class FaultyStore : public Store {
 public:
  explicit FaultyStore(Store& inner) : inner_(inner) {}

  // The write after this many more fails (0: the next); commit counts as one. Once.
  void fail_after(int writes) { left_ = writes; }
  bool armed() const { return left_ >= 0; }
  void disarm() { left_ = -1; }

  Status begin() override { return inner_.begin(); }
  Status commit() override { return fails() ? Status(error()) : inner_.commit(); }
  void rollback() override { inner_.rollback(); }
  Result<StoreTotals> totals() override { return inner_.totals(); }
  Result<StreamSequence> insert(const StoredMessage& message) override {
    if (fails()) return error();
    return inner_.insert(message);
  }
  Status erase(StreamSequence seq) override {
    return fails() ? Status(error()) : inner_.erase(seq);
  }
  Status erase_through(StreamSequence last) override {
    return fails() ? Status(error()) : inner_.erase_through(last);
  }
  Result<std::optional<StoredSummary>> find(StreamSequence seq) override {
    return inner_.find(seq);
  }
  Result<std::optional<StoredSummary>> find_key(std::string_view key) override {
    return inner_.find_key(key);
  }
  Result<std::optional<StoredMessage>> read(StreamSequence seq) override {
    return inner_.read(seq);
  }
  Result<std::optional<StoredMessage>> read_key(std::string_view key) override {
    return inner_.read_key(key);
  }
  Status scan(StreamSequence from, StreamSequence to,
              const std::function<bool(StoredMessage&&)>& visit) override {
    return inner_.scan(from, to, visit);
  }
  Status scan_summaries(StreamSequence from, StreamSequence to,
                        const std::function<bool(const StoredSummary&)>& visit) override {
    ++scans;
    return inner_.scan_summaries(from, to, [&](const StoredSummary& summary) {
      ++scanned;
      return visit(summary);
    });
  }
  Result<StreamSequence> highest_seq() override { return inner_.highest_seq(); }
  Result<std::vector<std::string>> keys() override { return inner_.keys(); }
  Result<std::vector<StoredSummary>> older_than(UnixMs time) override {
    ++searches;
    return inner_.older_than(time);
  }
  Result<std::vector<StoredSummary>> newer_than(UnixMs time) override {
    ++searches;
    return inner_.newer_than(time);
  }
  Result<std::vector<StoredSummary>> expired_by_ttl(UnixMs now) override {
    ++searches;
    return inner_.expired_by_ttl(now);
  }
  Result<std::optional<UnixMs>> oldest_time() override { return inner_.oldest_time(); }
  Result<std::optional<UnixMs>> next_expiry() override { return inner_.next_expiry(); }
  Result<std::vector<MessageIdEntry>> message_ids(UnixMs since) override {
    return inner_.message_ids(since);
  }
  Result<std::optional<MessageIdEntry>> message_id(StreamSequence seq) override {
    return inner_.message_id(seq);
  }
  Status forget_message_ids(StreamSequence through) override {
    return fails() ? Status(error()) : inner_.forget_message_ids(through);
  }
  Result<std::vector<std::pair<std::string, std::string>>> read_config() override {
    return inner_.read_config();
  }
  Status write_config(std::string_view field, std::string_view value) override {
    return fails() ? Status(error()) : inner_.write_config(field, value);
  }

  // How often the stream looked at more than one message, and at how many.
  int scans = 0;
  int scanned = 0;
  int searches = 0;

 private:
  bool fails() { return left_ >= 0 && left_-- == 0; }
  static Error error() { return {ErrorKind::storage_failed, "storage failed: as asked"}; }

  Store& inner_;
  int left_ = -1;
};

}  // namespace conat::test
