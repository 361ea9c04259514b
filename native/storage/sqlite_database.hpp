// SQLite behind a small C++ face: one connection, its statements, errors as values.
//
// Thread safety: a connection and its statements are used by one thread at a time (the library is
// opened without its own mutexes).
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "conat/base/bytes.hpp"
#include "conat/base/result.hpp"

namespace conat::storage {

class SqliteStatement {
 public:
  SqliteStatement() = default;
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}

  explicit operator bool() const { return statement_ != nullptr; }

  // Parameters count from 1. Text and blobs must stay in place until the statement is reset.
  SqliteStatement& bind(int index, std::int64_t value);
  SqliteStatement& bind(int index, double value);
  SqliteStatement& bind(int index, std::string_view text);
  SqliteStatement& bind(int index, ByteView blob);
  SqliteStatement& bind_null(int index);

  // SQLITE_ROW, SQLITE_DONE, or an error. Columns count from 0.
  int step();
  void reset();
  std::int64_t integer(int column) const;
  double real(int column) const;
  bool is_null(int column) const;
  std::string_view text(int column) const;  // valid until the next step
  ByteView blob(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Resets a statement at the end of its use, so that it holds no locks and no pointers.
class SqliteUse {
 public:
  explicit SqliteUse(SqliteStatement& statement) : statement_(statement) {}
  ~SqliteUse() { statement_.reset(); }
  SqliteUse(const SqliteUse&) = delete;
  SqliteUse& operator=(const SqliteUse&) = delete;

 private:
  SqliteStatement& statement_;
};

class SqliteDatabase {
 public:
  // `anchored`: the name goes through an open directory in /proc and is not resolved further.
  static Result<SqliteDatabase> open(const std::string& name, int flags, bool anchored);

  sqlite3* handle() const { return handle_.get(); }
  Status execute(const char* sql);
  Result<SqliteStatement> prepare(const char* sql, bool persistent);
  // The first column of the first row of a statement; nullopt when there is none.
  Result<std::optional<std::int64_t>> integer(const char* sql);
  // Whether the connection is outside of a transaction.
  bool autocommit() const { return sqlite3_get_autocommit(handle()) != 0; }

  // What went wrong last, as an error of the registry: storage_failed (too_large for a message
  // that is). Remembers whether the file turned out to be damaged.
  Error error(int code);
  Error last_error() { return error(sqlite3_extended_errcode(handle())); }
  bool damaged() const { return damaged_; }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::unique_ptr<sqlite3, Close> handle_;
  bool damaged_ = false;
};

// Whether a result code means that the file's content is not what it should be.
bool means_damage(int code);

}  // namespace conat::storage
