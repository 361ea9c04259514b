#include "storage/sqlite_schema.hpp"

#include <string>

namespace conat::storage {
namespace {

// Small enough for ten thousand open streams; the system's own cache holds the rest.
constexpr const char* kConnection =
    "PRAGMA cache_size=-512;"
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA journal_size_limit=8388608;";

constexpr const char* kTables =
    "CREATE TABLE IF NOT EXISTS messages ("
    "seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE, time INTEGER NOT NULL, "
    "headers TEXT, compress NUMBER NOT NULL, encoding NUMBER NOT NULL, raw BLOB NOT NULL, "
    "size NUMBER NOT NULL, ttl NUMBER);"
    "CREATE TABLE IF NOT EXISTS config (field TEXT PRIMARY KEY, value TEXT);"
    // An id outlives its message (a key may be set again within the two minutes), and rows of
    // messages that another program deleted do no harm: sequence numbers are not used twice.
    "CREATE TABLE IF NOT EXISTS conat_message_ids ("
    "seq INTEGER PRIMARY KEY, id TEXT NOT NULL, time INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS conat_messages_expiry ON messages(time*1000+ttl) WHERE ttl>0;";

constexpr const char* kHasAdditions =
    "SELECT count(*) FROM sqlite_master WHERE name IN "
    "('messages','config','conat_message_ids','conat_messages_expiry')";

// Whether some index of the messages starts with the column.
std::string indexed_by(const char* column) {
  return std::string(
             "SELECT count(*) FROM pragma_index_list('messages') AS list, "
             "pragma_index_info(list.name) AS info "
             "WHERE info.seqno=0 AND list.partial=0 AND info.name='") +
         column + "'";
}

Status create_index(SqliteDatabase& database, const char* column) {
  const auto count = database.integer(indexed_by(column).c_str());
  if (!count.ok()) return count.error();
  if (count->value_or(0) > 0) return Nothing{};
  const std::string sql =
      std::string("CREATE INDEX messages_") + column + " ON messages(" + column + ")";
  return database.execute(sql.c_str());
}

Status create_missing(SqliteDatabase& database) {
  if (Status made = database.execute(kTables); !made.ok()) return made;
  if (Status made = create_index(database, "key"); !made.ok()) return made;
  return create_index(database, "time");
}

}  // namespace

Status prepare_stream_file(SqliteDatabase& database, bool durable) {
  sqlite3_busy_timeout(database.handle(), 500);
  if (Status set = database.execute(kConnection); !set.ok()) return set;
  // Space can be given back in small steps only if the file was made so. (Said of an existing file
  // it would be a write at every opening.)
  const auto pages = database.integer("PRAGMA page_count");
  if (!pages.ok()) return pages.error();
  if (pages->value_or(0) == 0) {
    if (Status set = database.execute("PRAGMA auto_vacuum=INCREMENTAL"); !set.ok()) return set;
  }
  if (Status set = database.execute("PRAGMA journal_mode=WAL"); !set.ok()) return set;
  // NORMAL synchronizes at checkpoints only: a crash of the machine may lose the last commits, but
  // never damages the file.
  const char* level = durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL";
  if (Status set = database.execute(level); !set.ok()) return set;
  const auto known = database.integer(kHasAdditions);
  if (!known.ok()) return known.error();
  if (known->value_or(0) == 4) return Nothing{};
  if (Status begun = database.execute("BEGIN IMMEDIATE"); !begun.ok()) return begun;
  Status made = create_missing(database);
  if (made.ok()) made = database.execute("COMMIT");
  if (!made.ok() && !database.autocommit()) {
    // The first error is the one to tell.
    sqlite3_exec(database.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  return made;
}

}  // namespace conat::storage
