// A stream's messages in one SQLite file, through exactly one connection.
//
// Large payloads are compressed, times are kept in seconds. Statements are prepared at their first
// use and kept. The write-ahead log is checkpointed by maintain(), after answers are out, not
// within a commit. Thread safety: none, one thread at a time.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "conat/stream/store.hpp"
#include "storage/sqlite_database.hpp"

namespace conat::storage {

class SqliteStore : public Store {
 public:
  struct Options {
    bool durable = true;    // commits are on stable storage when they return
    bool compress = true;   // payloads above 1024 bytes
    bool anchored = false;  // see StreamLocation
  };

  // Opens or creates the file. Errors: storage_failed; `damaged`, when given, tells whether the
  // file's content was the reason.
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& name, Options options,
                                                   bool* damaged = nullptr);

  Status begin() override;
  Status commit() override;
  void rollback() override;

  Result<StoreTotals> totals() override;
  Result<StreamSequence> insert(const StoredMessage& message) override;
  Status erase(StreamSequence seq) override;
  Status erase_through(StreamSequence last) override;

  Result<std::optional<StoredSummary>> find(StreamSequence seq) override;
  Result<std::optional<StoredSummary>> find_key(std::string_view key) override;
  Result<std::optional<StoredMessage>> read(StreamSequence seq) override;
  Result<std::optional<StoredMessage>> read_key(std::string_view key) override;
  Status scan(StreamSequence from, StreamSequence to,
              const std::function<bool(StoredMessage&&)>& visit) override;
  Status scan_summaries(StreamSequence from, StreamSequence to,
                        const std::function<bool(const StoredSummary&)>& visit) override;
  Result<StreamSequence> highest_seq() override;
  Result<std::vector<std::string>> keys() override;

  Result<std::vector<StoredSummary>> older_than(UnixMs time) override;
  Result<std::vector<StoredSummary>> newer_than(UnixMs time) override;
  Result<std::vector<StoredSummary>> expired_by_ttl(UnixMs now) override;
  Result<std::optional<UnixMs>> oldest_time() override;
  Result<std::optional<UnixMs>> next_expiry() override;

  Result<std::vector<MessageIdEntry>> message_ids(UnixMs since) override;
  Result<std::optional<MessageIdEntry>> message_id(StreamSequence seq) override;
  Status forget_message_ids(StreamSequence through) override;

  Result<std::vector<std::pair<std::string, std::string>>> read_config() override;
  Status write_config(std::string_view field, std::string_view value) override;

  // Outside of a group: moves a grown log into the file and gives free pages back, a little at a
  // time. True when more is left to do.
  bool maintain();
  // Moves the whole log into the file. Errors are the file's, nothing is lost by them.
  Status checkpoint();
  // Some call has found the file's content damaged: writing is refused from then on.
  bool damaged() const { return database_.damaged(); }
  // Grows with every row written.
  std::int64_t total_changes() const { return sqlite3_total_changes64(database_.handle()); }
  SqliteDatabase& database() { return database_; }

 private:
  enum Query : std::size_t;
  static constexpr std::size_t query_count = 24;

  SqliteStore(SqliteDatabase database, Options options);

  Result<SqliteStatement*> query(Query which);
  Status ready_to_write();
  Status run(SqliteStatement& statement);
  Result<std::optional<StoredSummary>> one_summary(SqliteStatement& statement);
  Result<std::optional<StoredMessage>> one_message(SqliteStatement& statement);
  Result<StoredMessage> message_from(SqliteStatement& row) const;
  Result<std::vector<StoredSummary>> all_summaries(SqliteStatement& statement);
  void vacuum_step();

  SqliteDatabase database_;
  Options options_;
  std::array<SqliteStatement, query_count> statements_;
  Bytes compressed_;
  bool in_group_ = false;
  int log_pages_ = 0;
  std::int64_t erased_ = 0;  // rows since free pages were last counted
  bool vacuuming_ = false;
};

}  // namespace conat::storage
