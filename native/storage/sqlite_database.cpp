#include "storage/sqlite_database.hpp"

#include <cerrno>
#include <cstring>
#include <mutex>

namespace conat::storage {
namespace {

constexpr const char* kAnchoredVfs = "conat-anchored";

// The name is complete as it is: resolving the link in /proc would give the long path back.
int keep_name(sqlite3_vfs*, const char* name, int size, char* out) {
  const std::size_t length = std::strlen(name);
  if (length >= static_cast<std::size_t>(size)) return SQLITE_CANTOPEN;
  std::memcpy(out, name, length + 1);
  return SQLITE_OK;
}

// Once per process, before the first connection.
void prepare_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Counting every allocation takes a global lock. Refused (and harmless) if SQLite runs already.
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
    static sqlite3_vfs anchored = *sqlite3_vfs_find(nullptr);
    anchored.pNext = nullptr;
    anchored.zName = kAnchoredVfs;
    anchored.xFullPathname = &keep_name;
    sqlite3_vfs_register(&anchored, 0);
  });
}

}  // namespace

bool means_damage(int code) {
  const int primary = code & 0xff;
  return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

// ---- statements ----

SqliteStatement& SqliteStatement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
  return *this;
}

SqliteStatement& SqliteStatement::bind(int index, double value) {
  sqlite3_bind_double(statement_.get(), index, value);
  return *this;
}

SqliteStatement& SqliteStatement::bind(int index, std::string_view text) {
  // A null pointer would bind NULL.
  sqlite3_bind_text64(statement_.get(), index, text.empty() ? "" : text.data(), text.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

SqliteStatement& SqliteStatement::bind(int index, ByteView blob) {
  if (blob.empty()) {
    sqlite3_bind_zeroblob(statement_.get(), index, 0);
  } else {
    sqlite3_bind_blob64(statement_.get(), index, blob.data(), blob.size(), SQLITE_STATIC);
  }
  return *this;
}

SqliteStatement& SqliteStatement::bind_null(int index) {
  sqlite3_bind_null(statement_.get(), index);
  return *this;
}

int SqliteStatement::step() { return sqlite3_step(statement_.get()); }

void SqliteStatement::reset() { sqlite3_reset(statement_.get()); }

std::int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

double SqliteStatement::real(int column) const {
  return sqlite3_column_double(statement_.get(), column);
}

bool SqliteStatement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

std::string_view SqliteStatement::text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_.get(), column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

ByteView SqliteStatement::blob(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  if (data == nullptr) return {};
  return {static_cast<const std::uint8_t*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

// ---- the connection ----

Result<SqliteDatabase> SqliteDatabase::open(const std::string& name, int flags, bool anchored) {
  prepare_library();
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(name.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                      anchored ? kAnchoredVfs : nullptr);
  SqliteDatabase database;
  database.handle_.reset(handle);
  if (code != SQLITE_OK) return database.error(code);
  // Statements are prepared once, so the connection's own small-object pool would lie idle.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_LOOKASIDE, nullptr, 0, 0);
  // Files come from elsewhere too: what they define may not reach outside of them.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

Status SqliteDatabase::execute(const char* sql) {
  const int code = sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return Nothing{};
}

Result<SqliteStatement> SqliteDatabase::prepare(const char* sql, bool persistent) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle(), sql, -1, persistent ? SQLITE_PREPARE_PERSISTENT : 0,
                                      &statement, nullptr);
  if (code != SQLITE_OK) return error(code);
  return SqliteStatement(statement);
}

Result<std::optional<std::int64_t>> SqliteDatabase::integer(const char* sql) {
  auto statement = prepare(sql, false);
  if (!statement.ok()) return std::move(statement.error());
  const int code = statement->step();
  if (code == SQLITE_DONE) return std::optional<std::int64_t>();
  if (code != SQLITE_ROW) return error(code);
  return std::optional(statement->integer(0));
}

Error SqliteDatabase::error(int code) {
  if (means_damage(code)) damaged_ = true;
  std::string text = "storage failed: ";
  text += handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle());
  const int primary = code & 0xff;
  if (primary == SQLITE_TOOBIG) return {ErrorKind::too_large, "message too large"};
  if (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) {
    const int number = handle_ == nullptr ? 0 : sqlite3_system_errno(handle());
    if (number != 0) text += std::string(" (") + std::strerror(number) + ")";
  } else if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
    text += " (another process uses the file)";
  }
  return {ErrorKind::storage_failed, std::move(text)};
}

}  // namespace conat::storage
