#include "storage/stream_location.hpp"

#include "storage/sqlite_store.hpp"
#include "storage/temporary_directory.hpp"

using namespace conat;
using namespace conat::storage;
using namespace conat::test;

namespace {

Result<StreamLocation> locate(const TemporaryDirectory& root, std::string_view path) {
  return StreamLocation::locate(root.path(), path, true);
}

}  // namespace

TEST_CASE("a path becomes a file below the root, and its directories are made") {
  TemporaryDirectory root;
  const auto location = locate(root, "projects/1234/na me \xc3\xa4.x");
  REQUIRE(location.ok());
  REQUIRE(location->database_name() == (root / "projects/1234/na me \xc3\xa4.x.db").string());
  REQUIRE(std::filesystem::is_directory(root / "projects/1234"));
  REQUIRE(!location->modified_ns());
  REQUIRE(!location->anchored());
  REQUIRE(locate(root, "top")->database_name() == (root / "top.db").string());
}

TEST_CASE("paths that no file can have are refused") {
  TemporaryDirectory root;
  for (const std::string path : {"", "/a", "a/", "a//b", "a/../b", "..", ".", "a/./b"}) {
    INFO(path);
    REQUIRE(locate(root, path).error().code.number == 400);
  }
  REQUIRE(locate(root, std::string("a\0b", 3)).error().code.number == 400);
  REQUIRE(locate(root, std::string(255, 'd') + "/" + std::string(244, 'f')).ok());
  REQUIRE(locate(root, std::string(256, 'd') + "/f").error().code.number == 400);
  REQUIRE(locate(root, "d/" + std::string(245, 'f')).error().code.number == 400);
  std::string deep;
  while (deep.size() < 3990) deep += "dir/";
  REQUIRE(locate(root, deep + "f").ok());
  while (deep.size() < 4001) deep += "d";
  REQUIRE(locate(root, deep).error().code.number == 400);
}

TEST_CASE("a stream with a very long path works like any other") {
  TemporaryDirectory root;
  std::string path;
  while (path.size() < 3500) path += std::string(240, 'd') + "/";
  path += std::string(244, 'n');
  {
    const auto location = locate(root, path);
    REQUIRE(location.ok());
    REQUIRE(location->anchored());
    auto store = SqliteStore::open(location->database_name(), {.anchored = true});
    REQUIRE(store.ok());
    REQUIRE((*store)->begin().ok());
    REQUIRE((*store)->write_config("a", "b").ok());
    REQUIRE((*store)->commit().ok());
  }
  const auto again = locate(root, path);
  REQUIRE(again->modified_ns().has_value());
  auto store = SqliteStore::open(again->database_name(), {.anchored = true});
  REQUIRE((*store)->read_config()->size() == 1);
}

TEST_CASE("symbolic links lead nowhere") {
  TemporaryDirectory root;
  TemporaryDirectory outside;
  std::filesystem::create_directory_symlink(outside.path(), root / "link");
  REQUIRE(locate(root, "link/a").error().code.number == 507);
  std::filesystem::create_symlink(outside / "target.db", root / "file.db");
  REQUIRE(locate(root, "file").error().code.number == 507);
  std::filesystem::create_directory(root / "dir.db");
  REQUIRE(locate(root, "dir").error().code.number == 507);
  std::ofstream(root / "plain") << "x";
  REQUIRE(locate(root, "plain/a").error().code.number == 507);
  REQUIRE(std::filesystem::is_empty(outside.path()));
}

TEST_CASE("a damaged file is set aside under a name of its own") {
  TemporaryDirectory root;
  for (const std::string& name : {std::string("a"), std::string(244, 'n')}) {
    const auto location = locate(root, name);
    std::ofstream(root / (name + ".db")) << "one";
    std::ofstream(root / (name + ".db-wal")) << "log";
    const std::string first = location->set_aside(1'795'445'889'622).value();
    std::ofstream(root / (name + ".db")) << "two";
    const std::string second = location->set_aside(1'795'445'889'622).value();
    REQUIRE(first != second);
    REQUIRE(file_content(root / first) == "one");
    REQUIRE(file_content(root / (first + "-wal")) == "log");
    REQUIRE(file_content(root / second) == "two");
    REQUIRE(!std::filesystem::exists(root / (name + ".db")));
  }
  REQUIRE(std::filesystem::exists(root / "a.db.damaged-1795445889"));
}

TEST_CASE("a file is as new as its log") {
  TemporaryDirectory root;
  const auto location = locate(root, "a");
  std::ofstream(root / "a.db") << "x";
  REQUIRE(location->set_modified_ns("a.db", 1'000'000'000'000'000'001).ok());
  REQUIRE(*location->modified_ns() == 1'000'000'000'000'000'001);
  std::ofstream(root / "a.db-wal") << "x";
  REQUIRE(location->set_modified_ns("a.db-wal", 1'500'000'000'000'000'000).ok());
  REQUIRE(*location->modified_ns() == 1'500'000'000'000'000'000);
  REQUIRE(*location->file_modified_ns() == 1'000'000'000'000'000'001);
  REQUIRE(location->remove_log().ok());
  REQUIRE(*location->modified_ns() == 1'000'000'000'000'000'001);
}
