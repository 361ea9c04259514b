#include "storage/sqlite_store.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "conat/base/limits.hpp"
#include "storage/compression.hpp"
#include "storage/sqlite_schema.hpp"

namespace conat::storage {

enum SqliteStore::Query : std::size_t {
  kBegin,
  kCommit,
  kInsert,
  kInsertId,
  kErase,
  kEraseThrough,
  kEraseAll,
  kFind,
  kFindKey,
  kRead,
  kReadKey,
  kScan,
  kScanSummaries,
  kHighest,
  kKeys,
  kOlder,
  kNewer,
  kExpired,
  kOldestTime,
  kNextExpiry,
  kMessageIds,
  kMessageId,
  kForgetIds,
  kWriteConfig,
};

namespace {

#define SUMMARY "SELECT seq,time,size,ttl FROM messages "
#define MESSAGE "SELECT seq,time,size,ttl,key,headers,compress,encoding,raw FROM messages "

// In the order of Query.
constexpr const char* kSql[] = {
    "BEGIN",
    "COMMIT",
    "INSERT INTO messages(key,time,headers,compress,encoding,raw,size,ttl) "
    "VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
    "INSERT OR REPLACE INTO conat_message_ids(seq,id,time) VALUES(?1,?2,?3)",
    "DELETE FROM messages WHERE seq=?1",
    "DELETE FROM messages WHERE seq<=?1",
    "DELETE FROM messages",
    SUMMARY "WHERE seq=?1",
    SUMMARY "WHERE key=?1",
    MESSAGE "WHERE seq=?1",
    MESSAGE "WHERE key=?1",
    MESSAGE "WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
    SUMMARY "WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
    "SELECT max(seq) FROM messages",
    "SELECT key FROM messages WHERE key IS NOT NULL ORDER BY key",
    SUMMARY "WHERE time<=?1",
    SUMMARY "WHERE time>?1",
    // Seconds are fractions, so the last millisecond is decided afterwards.
    SUMMARY "WHERE ttl>0 AND time*1000+ttl<=?1",
    "SELECT min(time) FROM messages",
    "SELECT time,ttl FROM messages WHERE ttl>0 ORDER BY time*1000+ttl LIMIT 1",
    "SELECT seq,id,time FROM conat_message_ids WHERE time>?1 ORDER BY seq",
    "SELECT seq,id,time FROM conat_message_ids WHERE seq=?1",
    "DELETE FROM conat_message_ids WHERE seq<=?1",
    "INSERT OR REPLACE INTO config(field,value) VALUES(?1,?2)",
};

#undef SUMMARY
#undef MESSAGE

constexpr StreamSequence kLastSequence = std::numeric_limits<StreamSequence>::max();
constexpr double kMaxTime = 1e15;  // ms; what a file holds beyond it is cut
constexpr int kCheckpointPages = 1000;
constexpr std::int64_t kRowsPerVacuumCheck = 1000;
constexpr std::int64_t kMinFreePages = 1024;

// Whole milliseconds survive the way into a double of seconds and back.
double to_seconds(UnixMs time) { return static_cast<double>(time) / 1000.0; }
UnixMs to_ms(double seconds) {
  const double ms = seconds * 1000.0;
  if (!(std::fabs(ms) <= kMaxTime)) return ms > 0 ? static_cast<UnixMs>(kMaxTime) : 0;
  return std::llround(ms);
}
std::int64_t to_ttl(const SqliteStatement& row, int column) {
  return std::clamp<std::int64_t>(row.integer(column), 0, static_cast<std::int64_t>(kMaxTime));
}

StoredSummary summary_from(const SqliteStatement& row) {
  return {row.integer(0), to_ms(row.real(1)), row.integer(2), to_ttl(row, 3)};
}

}  // namespace

SqliteStore::SqliteStore(SqliteDatabase database, Options options)
    : database_(std::move(database)), options_(options) {
  static_assert(std::size(kSql) == query_count);
  sqlite3_wal_hook(
      database_.handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<SqliteStore*>(self)->log_pages_ = pages;
        return SQLITE_OK;
      },
      this);
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& name, Options options,
                                                       bool* damaged) {
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (!options.anchored) flags |= SQLITE_OPEN_NOFOLLOW;
  auto database = SqliteDatabase::open(name, flags, options.anchored);
  if (!database.ok()) return std::move(database.error());
  const Status prepared = prepare_stream_file(*database, options.durable);
  if (damaged != nullptr) *damaged = database->damaged();
  if (!prepared.ok()) return prepared.error();
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(*database), options));
}

Result<SqliteStatement*> SqliteStore::query(Query which) {
  SqliteStatement& statement = statements_[which];
  if (!statement) {
    auto prepared = database_.prepare(kSql[which], true);
    if (!prepared.ok()) return std::move(prepared.error());
    statement = std::move(*prepared);
  }
  return &statement;
}

// Runs a statement that yields no rows.
Status SqliteStore::run(SqliteStatement& statement) {
  const SqliteUse use(statement);
  const int code = statement.step();
  if (code != SQLITE_DONE) return database_.error(code);
  return Nothing{};
}

// ---- groups ----

Status SqliteStore::begin() {
  if (damaged()) {
    return Error(ErrorKind::storage_failed, "storage failed: the file of this stream is damaged");
  }
  const auto statement = query(kBegin);
  if (!statement.ok()) return statement.error();
  Status begun = run(**statement);
  in_group_ = begun.ok();
  return begun;
}

Status SqliteStore::commit() {
  if (Status ready = ready_to_write(); !ready.ok()) return ready;
  const auto statement = query(kCommit);
  if (!statement.ok()) return statement.error();
  Status committed = run(**statement);
  if (committed.ok()) in_group_ = false;
  return committed;
}

void SqliteStore::rollback() {
  in_group_ = false;
  // After some errors SQLite has rolled back by itself.
  if (database_.autocommit()) return;
  sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

// A write outside of a transaction would be on its own, and could not be undone with its group.
Status SqliteStore::ready_to_write() {
  if (in_group_ && !database_.autocommit()) return Nothing{};
  return Error(ErrorKind::storage_failed, "storage failed: the transaction was rolled back");
}

// ---- writing ----

Result<StoreTotals> SqliteStore::totals() {
  auto statement = database_.prepare(
      "SELECT count(*),coalesce(sum(size),0),count(CASE WHEN ttl>0 THEN 1 END),"
      "coalesce(max(seq),0) FROM messages",
      false);
  if (!statement.ok()) return std::move(statement.error());
  const int code = statement->step();
  if (code != SQLITE_ROW) return database_.error(code);
  StoreTotals totals;
  totals.count = statement->integer(0);
  totals.bytes = statement->integer(1);
  totals.with_ttl = statement->integer(2);
  totals.last_seq = statement->integer(3);
  const auto given = database_.integer("SELECT seq FROM sqlite_sequence WHERE name='messages'");
  // The table is missing in a file whose messages were made without AUTOINCREMENT.
  if (!given.ok() && damaged()) return given.error();
  if (given.ok()) totals.last_seq = std::max(totals.last_seq, given->value_or(0));
  return totals;
}

Result<StreamSequence> SqliteStore::insert(const StoredMessage& message) {
  if (Status ready = ready_to_write(); !ready.ok()) return std::move(ready.error());
  const auto insert = query(kInsert);
  if (!insert.ok()) return insert.error();
  SqliteStatement& row = **insert;
  const bool compressed = options_.compress && message.raw.size() >= min_compressed_bytes &&
                          compress(message.raw, compressed_);
  if (message.key) {
    row.bind(1, std::string_view(*message.key));
  } else {
    row.bind_null(1);
  }
  row.bind(2, to_seconds(message.time));
  if (message.headers_json.empty()) {
    row.bind_null(3);
  } else {
    row.bind(3, std::string_view(message.headers_json));
  }
  row.bind(4, std::int64_t{compressed ? 1 : 0});
  row.bind(5, static_cast<std::int64_t>(message.encoding));
  row.bind(6, compressed ? ByteView(compressed_) : ByteView(message.raw));
  row.bind(7, message.size);
  if (message.ttl_ms > 0) {
    row.bind(8, message.ttl_ms);
  } else {
    row.bind_null(8);
  }
  if (Status done = run(row); !done.ok()) return std::move(done.error());
  if (compressed_.capacity() > (1u << 20)) compressed_ = Bytes();
  const StreamSequence seq = sqlite3_last_insert_rowid(database_.handle());
  if (!message.message_id.empty()) {
    const auto insert_id = query(kInsertId);
    if (!insert_id.ok()) return insert_id.error();
    SqliteStatement& entry = **insert_id;
    entry.bind(1, seq).bind(2, std::string_view(message.message_id)).bind(3, message.time);
    if (Status done = run(entry); !done.ok()) return std::move(done.error());
  }
  return seq;
}

Status SqliteStore::erase(StreamSequence seq) {
  if (Status ready = ready_to_write(); !ready.ok()) return ready;
  const auto statement = query(kErase);
  if (!statement.ok()) return statement.error();
  ++erased_;
  return run((*statement)->bind(1, seq));
}

Status SqliteStore::erase_through(StreamSequence last) {
  if (Status ready = ready_to_write(); !ready.ok()) return ready;
  erased_ += kRowsPerVacuumCheck;
  // Without a condition SQLite drops whole pages instead of row after row.
  const auto statement = query(last == kLastSequence ? kEraseAll : kEraseThrough);
  if (!statement.ok()) return statement.error();
  if (last != kLastSequence) (*statement)->bind(1, last);
  return run(**statement);
}

Status SqliteStore::forget_message_ids(StreamSequence through) {
  if (Status ready = ready_to_write(); !ready.ok()) return ready;
  const auto statement = query(kForgetIds);
  if (!statement.ok()) return statement.error();
  return run((*statement)->bind(1, through));
}

Status SqliteStore::write_config(std::string_view field, std::string_view value) {
  if (Status ready = ready_to_write(); !ready.ok()) return ready;
  const auto statement = query(kWriteConfig);
  if (!statement.ok()) return statement.error();
  return run((*statement)->bind(1, field).bind(2, value));
}

// ---- reading ----

Result<std::optional<StoredSummary>> SqliteStore::one_summary(SqliteStatement& statement) {
  const SqliteUse use(statement);
  const int code = statement.step();
  if (code == SQLITE_DONE) return std::optional<StoredSummary>();
  if (code != SQLITE_ROW) return database_.error(code);
  return std::optional(summary_from(statement));
}

Result<std::optional<StoredSummary>> SqliteStore::find(StreamSequence seq) {
  const auto statement = query(kFind);
  if (!statement.ok()) return statement.error();
  return one_summary((*statement)->bind(1, seq));
}

Result<std::optional<StoredSummary>> SqliteStore::find_key(std::string_view key) {
  const auto statement = query(kFindKey);
  if (!statement.ok()) return statement.error();
  return one_summary((*statement)->bind(1, key));
}

Result<StoredMessage> SqliteStore::message_from(SqliteStatement& row) const {
  const StoredSummary summary = summary_from(row);
  StoredMessage message;
  message.seq = summary.seq;
  message.time = summary.time;
  message.size = summary.size;
  message.ttl_ms = summary.ttl_ms;
  if (!row.is_null(4)) message.key = std::string(row.text(4));
  message.headers_json = std::string(row.text(5));
  message.encoding = static_cast<PayloadEncoding>(row.integer(7));
  if (row.integer(6) == 0) {
    message.raw = to_bytes(row.blob(8));
    return message;
  }
  auto raw = decompress(row.blob(8), static_cast<std::size_t>(limits::max_stored_message_bytes));
  if (!raw.ok()) return std::move(raw.error());
  message.raw = std::move(*raw);
  return message;
}

Result<std::optional<StoredMessage>> SqliteStore::one_message(SqliteStatement& statement) {
  const SqliteUse use(statement);
  const int code = statement.step();
  if (code == SQLITE_DONE) return std::optional<StoredMessage>();
  if (code != SQLITE_ROW) return database_.error(code);
  auto message = message_from(statement);
  if (!message.ok()) return std::move(message.error());
  return std::optional(std::move(*message));
}

Result<std::optional<StoredMessage>> SqliteStore::read(StreamSequence seq) {
  const auto statement = query(kRead);
  if (!statement.ok()) return statement.error();
  return one_message((*statement)->bind(1, seq));
}

Result<std::optional<StoredMessage>> SqliteStore::read_key(std::string_view key) {
  const auto statement = query(kReadKey);
  if (!statement.ok()) return statement.error();
  return one_message((*statement)->bind(1, key));
}

Status SqliteStore::scan(StreamSequence from, StreamSequence to,
                         const std::function<bool(StoredMessage&&)>& visit) {
  const auto statement = query(kScan);
  if (!statement.ok()) return statement.error();
  SqliteStatement& row = **statement;
  const SqliteUse use(row);
  row.bind(1, from).bind(2, to);
  int code = row.step();
  for (; code == SQLITE_ROW; code = row.step()) {
    auto message = message_from(row);
    if (!message.ok()) return std::move(message.error());
    if (!visit(std::move(*message))) return Nothing{};
  }
  if (code != SQLITE_DONE) return database_.error(code);
  return Nothing{};
}

Status SqliteStore::scan_summaries(StreamSequence from, StreamSequence to,
                                   const std::function<bool(const StoredSummary&)>& visit) {
  const auto statement = query(kScanSummaries);
  if (!statement.ok()) return statement.error();
  SqliteStatement& row = **statement;
  const SqliteUse use(row);
  row.bind(1, from).bind(2, to);
  int code = row.step();
  for (; code == SQLITE_ROW; code = row.step()) {
    if (!visit(summary_from(row))) return Nothing{};
  }
  if (code != SQLITE_DONE) return database_.error(code);
  return Nothing{};
}

Result<StreamSequence> SqliteStore::highest_seq() {
  const auto statement = query(kHighest);
  if (!statement.ok()) return statement.error();
  const SqliteUse use(**statement);
  const int code = (*statement)->step();
  if (code != SQLITE_ROW) return database_.error(code);
  return (*statement)->integer(0);
}

Result<std::vector<std::string>> SqliteStore::keys() {
  const auto statement = query(kKeys);
  if (!statement.ok()) return statement.error();
  SqliteStatement& row = **statement;
  const SqliteUse use(row);
  std::vector<std::string> keys;
  int code = row.step();
  for (; code == SQLITE_ROW; code = row.step()) keys.emplace_back(row.text(0));
  if (code != SQLITE_DONE) return database_.error(code);
  return keys;
}

// ---- by time ----

Result<std::vector<StoredSummary>> SqliteStore::all_summaries(SqliteStatement& statement) {
  const SqliteUse use(statement);
  std::vector<StoredSummary> found;
  int code = statement.step();
  for (; code == SQLITE_ROW; code = statement.step()) found.push_back(summary_from(statement));
  if (code != SQLITE_DONE) return database_.error(code);
  // The index gives the order of time.
  std::sort(found.begin(), found.end(),
            [](const StoredSummary& a, const StoredSummary& b) { return a.seq < b.seq; });
  return found;
}

Result<std::vector<StoredSummary>> SqliteStore::older_than(UnixMs time) {
  const auto statement = query(kOlder);
  if (!statement.ok()) return statement.error();
  return all_summaries((*statement)->bind(1, to_seconds(time)));
}

Result<std::vector<StoredSummary>> SqliteStore::newer_than(UnixMs time) {
  const auto statement = query(kNewer);
  if (!statement.ok()) return statement.error();
  return all_summaries((*statement)->bind(1, to_seconds(time)));
}

Result<std::vector<StoredSummary>> SqliteStore::expired_by_ttl(UnixMs now) {
  const auto statement = query(kExpired);
  if (!statement.ok()) return statement.error();
  auto found = all_summaries((*statement)->bind(1, now + 1));
  if (!found.ok()) return found;
  const auto alive = [now](const StoredSummary& message) {
    return message.ttl_ms <= 0 || message.time + message.ttl_ms > now;
  };
  found->erase(std::remove_if(found->begin(), found->end(), alive), found->end());
  return found;
}

Result<std::optional<UnixMs>> SqliteStore::oldest_time() {
  const auto statement = query(kOldestTime);
  if (!statement.ok()) return statement.error();
  SqliteStatement& row = **statement;
  const SqliteUse use(row);
  const int code = row.step();
  if (code != SQLITE_ROW) return database_.error(code);
  if (row.is_null(0)) return std::optional<UnixMs>();
  return std::optional(to_ms(row.real(0)));
}

Result<std::optional<UnixMs>> SqliteStore::next_expiry() {
  const auto statement = query(kNextExpiry);
  if (!statement.ok()) return statement.error();
  SqliteStatement& row = **statement;
  const SqliteUse use(row);
  const int code = row.step();
  if (code == SQLITE_DONE) return std::optional<UnixMs>();
  if (code != SQLITE_ROW) return database_.error(code);
  return std::optional(to_ms(row.real(0)) + to_ttl(row, 1));
}

// ---- message ids and configuration ----

Result<std::vector<Store::MessageIdEntry>> SqliteStore::message_ids(UnixMs since) {
  const auto statement = query(kMessageIds);
  if (!statement.ok()) return statement.error();
  SqliteStatement& row = **statement;
  const SqliteUse use(row);
  row.bind(1, since);
  std::vector<MessageIdEntry> found;
  int code = row.step();
  for (; code == SQLITE_ROW; code = row.step()) {
    found.push_back({std::string(row.text(1)), row.integer(0), row.integer(2)});
  }
  if (code != SQLITE_DONE) return database_.error(code);
  return found;
}

Result<std::optional<Store::MessageIdEntry>> SqliteStore::message_id(StreamSequence seq) {
  const auto statement = query(kMessageId);
  if (!statement.ok()) return statement.error();
  SqliteStatement& row = **statement;
  const SqliteUse use(row);
  const int code = row.bind(1, seq).step();
  if (code == SQLITE_DONE) return std::optional<MessageIdEntry>();
  if (code != SQLITE_ROW) return database_.error(code);
  return std::optional(MessageIdEntry{std::string(row.text(1)), row.integer(0), row.integer(2)});
}

Result<std::vector<std::pair<std::string, std::string>>> SqliteStore::read_config() {
  auto statement =
      database_.prepare("SELECT field,value FROM config WHERE value IS NOT NULL", false);
  if (!statement.ok()) return std::move(statement.error());
  std::vector<std::pair<std::string, std::string>> config;
  int code = statement->step();
  for (; code == SQLITE_ROW; code = statement->step()) {
    config.emplace_back(std::string(statement->text(0)), std::string(statement->text(1)));
  }
  if (code != SQLITE_DONE) return database_.error(code);
  return config;
}

// ---- upkeep ----

bool SqliteStore::maintain() {
  if (log_pages_ >= kCheckpointPages) {
    // Nobody else reads the file, so this moves everything and the log starts over. When it fails
    // (disk full) the log grows until writing fails too, and that is answered.
    sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr,
                              nullptr);
    log_pages_ = 0;
  }
  if (vacuuming_ || erased_ >= kRowsPerVacuumCheck) vacuum_step();
  return vacuuming_;
}

// Free pages are used again; only a file that is mostly free pages is made smaller.
void SqliteStore::vacuum_step() {
  erased_ = 0;
  const auto free_pages = database_.integer("PRAGMA freelist_count");
  const auto pages = database_.integer("PRAGMA page_count");
  vacuuming_ = free_pages.ok() && pages.ok() && free_pages->value_or(0) > kMinFreePages &&
               free_pages->value_or(0) > pages->value_or(0) / 2;
  if (!vacuuming_) return;
  const std::int64_t before = free_pages->value_or(0);
  const bool done = database_.execute("PRAGMA incremental_vacuum(256)").ok();
  const auto after = database_.integer("PRAGMA freelist_count");
  // A file that another program made may not be able to shrink.
  if (!done || !after.ok() || after->value_or(before) >= before) vacuuming_ = false;
}

Status SqliteStore::checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(database_.handle(), nullptr,
                                             SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  log_pages_ = 0;
  if (code != SQLITE_OK) return database_.error(code);
  return Nothing{};
}

}  // namespace conat::storage
