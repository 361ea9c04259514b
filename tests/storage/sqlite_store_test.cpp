#include "storage/sqlite_store.hpp"

#include <zstd.h>

#include "conat/base/random.hpp"
#include "conat/stream/stream.hpp"
#include "storage/compression.hpp"
#include "storage/temporary_directory.hpp"

using namespace conat;
using namespace conat::storage;
using namespace conat::test;

namespace {

constexpr UnixMs kNow = 1'795'445'889'622;

std::unique_ptr<SqliteStore> open_store(const std::filesystem::path& file,
                                        SqliteStore::Options options = {}) {
  auto opened = SqliteStore::open(file.string(), options);
  INFO((opened.ok() ? "" : opened.error().text));
  REQUIRE(opened.ok());
  return std::move(*opened);
}

StoredMessage message(std::string_view raw, std::optional<std::string> key = {},
                      UnixMs time = kNow) {
  StoredMessage message;
  message.raw = to_bytes(raw);
  message.key = std::move(key);
  message.time = time;
  message.size = static_cast<std::int64_t>(raw.size());
  return message;
}

StreamSequence insert(SqliteStore& store, const StoredMessage& message) {
  REQUIRE(store.begin().ok());
  const auto seq = store.insert(message);
  REQUIRE(seq.ok());
  REQUIRE(store.commit().ok());
  return *seq;
}

// The tables as another implementation makes them.
constexpr const char* kForeignSchema = R"(
CREATE TABLE messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE,
  time INTEGER NOT NULL, headers TEXT, compress NUMBER NOT NULL, encoding NUMBER NOT NULL,
  raw BLOB NOT NULL, size NUMBER NOT NULL, ttl NUMBER);
CREATE INDEX idx_messages_key ON messages(key);
CREATE INDEX idx_messages_time ON messages(time);
CREATE TABLE config (field TEXT PRIMARY KEY, value TEXT);
)";

}  // namespace

TEST_CASE("every part of a message survives the file") {
  TemporaryDirectory directory;
  StoredMessage whole = message("raw", std::string("k\0y", 3));
  whole.headers_json = "{\"a\":\"\xc3\xa4\"}";
  whole.encoding = PayloadEncoding::json;
  whole.ttl_ms = 60'000;
  whole.size = 123;
  {
    auto store = open_store(directory / "a.db");
    REQUIRE(insert(*store, whole) == 1);
    REQUIRE(insert(*store, message("", "")) == 2);
    REQUIRE(insert(*store, message("x")) == 3);
  }
  auto store = open_store(directory / "a.db");
  const auto first = store->read(1).value();
  REQUIRE(first->seq == 1);
  REQUIRE(first->time == kNow);
  REQUIRE(first->key == whole.key);
  REQUIRE(first->headers_json == whole.headers_json);
  REQUIRE(first->encoding == PayloadEncoding::json);
  REQUIRE(first->ttl_ms == 60'000);
  REQUIRE(first->size == 123);
  REQUIRE(as_text(first->raw) == "raw");
  REQUIRE(store->read_key(*whole.key).value()->seq == 1);
  REQUIRE(store->read_key("").value()->seq == 2);
  REQUIRE(store->read(2).value()->raw.empty());
  REQUIRE(!store->read(3).value()->key.has_value());
  REQUIRE(store->read(3).value()->headers_json.empty());
  REQUIRE(!store->read(4).value().has_value());
  store.reset();
  REQUIRE(sqlite_tool(directory / "a.db",
                      "SELECT seq,typeof(time),time,headers IS NULL,compress,encoding,size,ttl "
                      "FROM messages;") ==
          "1|real|1795445889.622|0|0|1|123|60000\n"
          "2|real|1795445889.622|1|0|0|0|\n"
          "3|real|1795445889.622|1|0|0|1|\n");
}

TEST_CASE("times in seconds keep their milliseconds") {
  TemporaryDirectory directory;
  auto store = open_store(directory / "a.db", {.durable = false});
  Random random(7);
  std::vector<UnixMs> times;
  REQUIRE(store->begin().ok());
  for (int i = 0; i < 20'000; ++i) {
    times.push_back(static_cast<UnixMs>(random.next_u64() % 4'102'444'800'000));
    REQUIRE(store->insert(message("", {}, times.back())).ok());
  }
  REQUIRE(store->commit().ok());
  std::size_t index = 0;
  REQUIRE(store
              ->scan_summaries(0, 1'000'000,
                               [&](const StoredSummary& summary) {
                                 REQUIRE(summary.time == times[index]);
                                 ++index;
                                 return true;
                               })
              .ok());
  REQUIRE(index == times.size());
  // Comparisons in the file are exact to the millisecond as well.
  const UnixMs pivot = times[77];
  const std::vector<StoredSummary> found = *store->older_than(pivot);
  for (const StoredSummary& summary : found) REQUIRE(summary.time <= pivot);
  const std::size_t older = found.size();
  REQUIRE(older + store->newer_than(pivot)->size() == times.size());
  REQUIRE(store->older_than(pivot - 1)->size() < older);
}

TEST_CASE("payloads above 1024 bytes are compressed when it helps") {
  TemporaryDirectory directory;
  Random random(1);
  std::string noise;
  for (int i = 0; i < 3000; ++i) noise.push_back(static_cast<char>(random.next_u32()));
  const std::string text(200'000, 'x');
  {
    auto store = open_store(directory / "a.db");
    insert(*store, message(std::string(1024, 'x')));
    insert(*store, message(std::string(1025, 'x')));
    insert(*store, message(noise));
    insert(*store, message(text));
    REQUIRE(as_text(store->read(2).value()->raw) == std::string(1025, 'x'));
    REQUIRE(as_text(store->read(3).value()->raw) == noise);
    REQUIRE(as_text(store->read(4).value()->raw) == text);
    auto plain = open_store(directory / "b.db", {.compress = false});
    insert(*plain, message(text));
  }
  REQUIRE(sqlite_tool(directory / "a.db",
                      "SELECT compress,size,length(raw)<size FROM messages ORDER BY seq;") ==
          "0|1024|0\n1|1025|1\n0|3000|0\n1|200000|1\n");
  REQUIRE(sqlite_tool(directory / "b.db", "SELECT compress,length(raw) FROM messages;") ==
          "0|200000\n");
}

TEST_CASE("decompression: frames without a size, and damaged ones") {
  const std::string text(500'000, 'y');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  Bytes frame(ZSTD_compressBound(text.size()));
  frame.resize(ZSTD_compress2(context, frame.data(), frame.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  REQUIRE(ZSTD_getFrameContentSize(frame.data(), frame.size()) == ZSTD_CONTENTSIZE_UNKNOWN);
  REQUIRE(as_text(decompress(frame, 1'000'000).value()) == text);
  REQUIRE(!decompress(frame, 499'999).ok());
  Bytes twice = frame;
  append(twice, frame);
  REQUIRE(decompress(twice, 2'000'000)->size() == 1'000'000);
  for (std::size_t size = 0; size < frame.size(); ++size) {
    REQUIRE(!decompress(ByteView(frame).first(size), 1'000'000).ok());
  }
  Bytes known;
  REQUIRE(compress(as_bytes(text), known));
  for (std::size_t size = 0; size < known.size(); ++size) {
    REQUIRE(!decompress(ByteView(known).first(size), 1'000'000).ok());
  }
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    Bytes damaged = known;
    damaged[random.below(static_cast<std::uint32_t>(damaged.size()))] ^=
        static_cast<std::uint8_t>(1u << random.below(8));
    const auto result = decompress(damaged, 1'000'000);
    REQUIRE((!result.ok() || result->size() <= 1'000'000));
  }
}

TEST_CASE("a file that another program made opens and works") {
  TemporaryDirectory directory;
  Bytes packed;
  REQUIRE(compress(as_bytes(std::string(5000, 'z')), packed));
  std::string hex;
  for (const std::uint8_t byte : packed) {
    constexpr char digits[] = "0123456789abcdef";
    hex += {digits[byte >> 4], digits[byte & 15]};
  }
  sqlite_tool(directory / "a.db",
              std::string(kForeignSchema) +
                  "ALTER TABLE messages ADD COLUMN extra TEXT;"
                  "CREATE TABLE theirs (a, b);"
                  "INSERT INTO messages(seq,key,time,headers,compress,encoding,raw,size,ttl,extra) "
                  "VALUES (3,'k',1795445889.622,'{\"a\":1}',0,0,x'a26869',11,NULL,'e'),"
                  "(5,NULL,1795445890,NULL,1,1,x'" +
                  hex +
                  "',5000,60000,NULL),(9,NULL,1795445891,NULL,0,0,x'',0,NULL,NULL);"
                  "DELETE FROM messages WHERE seq=9;"
                  "INSERT INTO config VALUES ('max_msgs','100'),('allow_msg_ttl','true'),"
                  "('desc','{\"x\":1}'),('unknown','7');");
  {
    auto store = open_store(directory / "a.db");
    auto stream = Stream::open(*store, kNow, false);
    REQUIRE(stream.ok());
    REQUIRE(stream->totals().count == 2);
    REQUIRE(stream->totals().bytes == 5011);
    REQUIRE(stream->totals().last_seq == 9);
    REQUIRE(stream->totals().with_ttl == 1);
    REQUIRE(stream->config().max_msgs == 100);
    REQUIRE(stream->config().allow_msg_ttl);
    REQUIRE(stream->config().desc_json == "{\"x\":1}");
    const auto first = stream->get_key("k").value();
    REQUIRE(first->seq == 3);
    REQUIRE(first->time == 1'795'445'889'622);
    REQUIRE(first->headers_json == "{\"a\":1}");
    REQUIRE(as_text(first->raw) == "\xa2hi");
    const auto second = stream->get(5).value();
    REQUIRE(as_text(second->raw) == std::string(5000, 'z'));
    REQUIRE(second->time == 1'795'445'890'000);
    REQUIRE(second->encoding == PayloadEncoding::json);
    // Sequence numbers go on after the highest ever given out.
    SetRequest request;
    request.raw = to_bytes("new");
    request.key = "k";
    request.message_id = "id";
    REQUIRE(stream->begin_group().ok());
    REQUIRE(stream->set(kNow, request)->seq == 10);
    REQUIRE(stream->commit_group().ok());
    // Expiry by time + ttl finds their message too.
    REQUIRE(stream->begin_group().ok());
    REQUIRE(stream->enforce(1'795'445'950'000).ok());
    REQUIRE(stream->commit_group().ok());
    REQUIRE(stream->totals().count == 1);
  }
  // And it goes back.
  REQUIRE(
      sqlite_tool(directory / "a.db",
                  "PRAGMA integrity_check;"
                  "SELECT seq,key,time,headers,compress,encoding,raw,size,ttl,extra FROM messages;"
                  "INSERT INTO messages(key,time,compress,encoding,raw,size) "
                  "VALUES('t',1795445999.5,0,0,x'01',2);"
                  "DELETE FROM messages WHERE seq=10;"
                  "SELECT seq FROM messages;"
                  "SELECT field,value FROM config ORDER BY field;") ==
      "ok\n"
      "10|k|1795445889.622||0|0|new|4||\n"
      "11\n"
      "allow_msg_ttl|true\ndesc|{\"x\":1}\nmax_msgs|100\nunknown|7\n");
  auto store = open_store(directory / "a.db");
  auto stream = Stream::open(*store, kNow, false);
  REQUIRE(stream->totals().last_seq == 11);
  REQUIRE(stream->get(11).value()->time == 1'795'445'999'500);
  // The id of a message that they deleted still answers.
  SetRequest request;
  request.message_id = "id";
  REQUIRE(stream->begin_group().ok());
  REQUIRE(stream->set(kNow + 1000, request)->seq == 10);
  REQUIRE(stream->commit_group().ok());
}

TEST_CASE("our file has the tables that others expect") {
  TemporaryDirectory directory;
  open_store(directory / "a.db").reset();
  REQUIRE(
      sqlite_tool(directory / "a.db",
                  "SELECT name,type,\"notnull\",pk FROM pragma_table_info('messages');") ==
      "seq|INTEGER|0|1\nkey|TEXT|0|0\ntime|INTEGER|1|0\nheaders|TEXT|0|0\n"
      "compress|NUMBER|1|0\nencoding|NUMBER|1|0\nraw|BLOB|1|0\nsize|NUMBER|1|0\nttl|NUMBER|0|0\n");
  REQUIRE(sqlite_tool(directory / "a.db",
                      "SELECT i.name FROM pragma_index_list('messages') l, "
                      "pragma_index_info(l.name) i WHERE l.partial=0 ORDER BY 1;") ==
          "key\ntime\n");
  REQUIRE(sqlite_tool(directory / "a.db", "PRAGMA journal_mode;") == "wal\n");
  REQUIRE(!std::filesystem::exists(directory / "a.db-wal"));
}

TEST_CASE("opening, reading and closing leave a file as it is") {
  TemporaryDirectory directory;
  auto store = open_store(directory / "a.db");
  insert(*store, message("x", "k"));
  store.reset();
  const std::string before = file_content(directory / "a.db");
  store = open_store(directory / "a.db");
  REQUIRE(Stream::open(*store, kNow, false)->get_key("k").value().has_value());
  REQUIRE(store->total_changes() == 0);
  store.reset();
  const bool unchanged = file_content(directory / "a.db") == before;
  REQUIRE(unchanged);
}

TEST_CASE("a file of another kind is refused and left alone") {
  TemporaryDirectory directory;
  sqlite_tool(directory / "a.db",
              "CREATE TABLE messages (a, b); INSERT INTO messages VALUES(1,2);");
  bool damaged = true;
  const auto opened = SqliteStore::open((directory / "a.db").string(), {}, &damaged);
  REQUIRE(!opened.ok());
  REQUIRE(opened.error().code.number == 507);
  REQUIRE(!damaged);
  REQUIRE(sqlite_tool(directory / "a.db", "SELECT * FROM messages;") == "1|2\n");
}

TEST_CASE("no query of the daily work reads a whole table or sorts") {
  TemporaryDirectory directory;
  auto store = open_store(directory / "a.db", {.durable = false});
  REQUIRE(store->begin().ok());
  for (int i = 0; i < 1000; ++i) {
    StoredMessage one = message("x", std::to_string(i), kNow + i);
    one.ttl_ms = i % 2 == 0 ? 1000 : 0;
    one.message_id = "id" + std::to_string(i);
    REQUIRE(store->insert(one).ok());
  }
  REQUIRE(store->erase(5).ok());
  REQUIRE(store->erase_through(10).ok());
  REQUIRE(store->forget_message_ids(10).ok());
  REQUIRE(store->write_config("a", "b").ok());
  REQUIRE(store->commit().ok());
  REQUIRE(store->find(20).value().has_value());
  REQUIRE(store->find_key("20").value().has_value());
  REQUIRE(store->read(20).value().has_value());
  REQUIRE(store->read_key("20").value().has_value());
  REQUIRE(store->older_than(kNow + 100)->size() == 91);
  REQUIRE(store->newer_than(kNow + 900)->size() == 99);
  REQUIRE(store->expired_by_ttl(kNow + 1020)->size() == 6);
  REQUIRE(*store->oldest_time().value() == kNow + 10);
  REQUIRE(*store->next_expiry().value() == kNow + 1010);
  REQUIRE(store->message_id(20).value()->message_id == "id19");
  REQUIRE(*store->highest_seq() == 1000);
  int seen = 0;
  REQUIRE(store->scan(500, 509, [&](StoredMessage&&) { return ++seen > 0; }).ok());
  REQUIRE(store->scan_summaries(500, 509, [&](const StoredSummary&) { return ++seen > 0; }).ok());
  REQUIRE(seen == 20);
  int statements = 0;
  for (sqlite3_stmt* statement = sqlite3_next_stmt(store->database().handle(), nullptr);
       statement != nullptr; statement = sqlite3_next_stmt(store->database().handle(), statement)) {
    INFO(sqlite3_sql(statement));
    REQUIRE(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0) == 0);
    REQUIRE(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_SORT, 0) == 0);
    REQUIRE(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_AUTOINDEX, 0) == 0);
    ++statements;
  }
  REQUIRE(statements >= 18);
}

TEST_CASE("writes that are not in a transaction are refused") {
  TemporaryDirectory directory;
  auto store = open_store(directory / "a.db");
  REQUIRE(!store->insert(message("x")).ok());
  REQUIRE(!store->commit().ok());
  REQUIRE(store->begin().ok());
  REQUIRE(store->insert(message("x")).ok());
  // As SQLite does by itself after some errors.
  REQUIRE(store->database().execute("ROLLBACK").ok());
  REQUIRE(!store->insert(message("y")).ok());
  REQUIRE(!store->commit().ok());
  store->rollback();
  REQUIRE(store->totals()->count == 0);
  insert(*store, message("z"));
  REQUIRE(store->totals()->count == 1);
}

TEST_CASE("the log stays small, and lost space is given back") {
  TemporaryDirectory directory;
  auto store = open_store(directory / "a.db", {.durable = false, .compress = false});
  for (int i = 0; i < 200; ++i) {
    REQUIRE(store->begin().ok());
    for (int j = 0; j < 10; ++j) REQUIRE(store->insert(message(std::string(10'000, 'x'))).ok());
    REQUIRE(store->commit().ok());
    store->maintain();
  }
  REQUIRE(std::filesystem::file_size(directory / "a.db-wal") < 10'000'000);
  REQUIRE(store->checkpoint().ok());
  const auto full = std::filesystem::file_size(directory / "a.db");
  REQUIRE(full > 20'000'000);
  REQUIRE(store->begin().ok());
  REQUIRE(store->erase_through(1990).ok());
  REQUIRE(store->commit().ok());
  int steps = 0;
  while (store->maintain()) REQUIRE(++steps < 1000);
  REQUIRE(steps > 5);
  REQUIRE(store->checkpoint().ok());
  REQUIRE(std::filesystem::file_size(directory / "a.db") < full / 2);
  REQUIRE(store->totals()->count == 10);
  store.reset();
  REQUIRE(sqlite_tool(directory / "a.db", "PRAGMA integrity_check;") == "ok\n");
}
