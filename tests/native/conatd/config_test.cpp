// The configuration: the file, the environment and the command line, what is wrong in them, and the
// document that lists it all.
#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "auth/password_hash.hpp"
#include "broker/option_table.hpp"
#include "conatd/connection.hpp"

namespace conat::test {
namespace {

class ConfigFile {
 public:
  explicit ConfigFile(const std::string& content) : path_(directory_.path() / "conatd.toml") {
    std::ofstream(path_) << content;
  }
  std::string path() const { return path_.string(); }
  // Another file beside it.
  std::string beside(const std::string& name, const std::string& content) const {
    const auto path = directory_.path() / name;
    std::ofstream(path) << content;
    return path.string();
  }
  const std::filesystem::path& directory() const { return directory_.path(); }

 private:
  TemporaryDirectory directory_;
  std::filesystem::path path_;
};

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

// The one line that says why; the same for a start and for a check.
std::string errors_of(const ConfigFile& file, const Arguments& environment = {}) {
  Process start({"--config", file.path(), "--port", "0"}, environment);
  CHECK(start.wait() == 2);
  CHECK(!start.read_line());
  Process check({"check-config", file.path()}, environment);
  CHECK(check.wait() == 2);
  CHECK(!check.read_line());
  const std::string errors = check.errors();
  CHECK(errors == start.errors());
  CHECK(std::count(errors.begin(), errors.end(), '\n') == 1);
  return errors;
}

std::string file_content(const std::filesystem::path& path) {
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

}  // namespace

TEST_CASE("The document lists exactly the options that there are") {
  const std::string document =
      file_content(std::filesystem::path(CONAT_SOURCE_DIR) / "docs/configuration.md");
  const std::string begin = "<!-- options -->\n";
  const std::size_t from = document.find(begin);
  const std::size_t to = document.find("<!-- end of options -->");
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  const std::string listed = document.substr(from + begin.size(), to - from - begin.size());
  // `conatd --help-markdown` prints what should stand there.
  CHECK(listed == server::options_markdown() + "\n");

  Process printed({"--help-markdown"});
  std::string text;
  while (const auto line = printed.read_line()) text += *line + "\n";
  CHECK(printed.wait() == 0);
  CHECK(text == server::options_markdown());
}

TEST_CASE("Names in the table are unique and known by the help") {
  std::vector<std::string> names;
  Process help({"--help"});
  std::string text;
  while (const auto line = help.read_line()) text += *line + "\n";
  for (const server::OptionRow& row : server::option_table()) {
    names.push_back(server::option_flag(row));
    CHECK(text.find(names.back()) != std::string::npos);
  }
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("The example of the document is a configuration file") {
  const std::string document =
      file_content(std::filesystem::path(CONAT_SOURCE_DIR) / "docs/configuration.md");
  const std::size_t from = document.find("```toml\n") + 8;
  std::string example = document.substr(from, document.find("```\n", from) - from);
  // Its files, where this test has them.
  const ConfigFile files("");
  const auto put = [&](const std::string& name, const std::string& path) {
    const std::size_t at = example.find(name);
    REQUIRE(at != std::string::npos);
    example.replace(at, name.size(), path);
  };
  put("/etc/conat/system-password", files.beside("password", "secret\n"));
  put("/etc/conat/users", files.beside("users", ""));
  put("/etc/conat/issuer.pem",
      files.beside("key.pem",
                   "-----BEGIN PUBLIC KEY-----\n"
                   "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
                   "\n-----END PUBLIC KEY-----\n"));
  const ConfigFile file(example);
  Process check({"check-config", file.path()});
  CHECK(check.read_line() == file.path() + ": no errors");
  CHECK(check.wait() == 0);
  CHECK(check.errors() == "");
}

TEST_CASE("Command line, environment, file: the first one counts") {
  const ConfigFile file(
      "[listen]\npath = \"/file\"\n[broker]\nid = \"file\"\ncluster_name = \"file\"\n"
      "[limits]\nmax_payload = 1000000\n[storage]\nno_persist = true\n[log]\nlog_level = "
      "\"off\"\n");
  Process process({"--config", file.path(), "--port", "0", "--path", "/line"},
                  {"CONAT_PATH=/environment", "CONAT_ID=environment"});
  const std::string line = process.read_line().value_or("");
  REQUIRE(line.find("/line (") != std::string::npos);
  const auto port = static_cast<std::uint16_t>(
      std::stoi(line.substr(line.find("127.0.0.1:") + std::string("127.0.0.1:").size())));
  WebSocket socket(port, "/line/conat/");
  const std::string info = socket.sign_in();
  CHECK(info.find("\"id\":\"environment\"") != std::string::npos);
  CHECK(info.find("\"clusterName\":\"file\"") != std::string::npos);
  CHECK(info.find("\"max_payload\":1000000") != std::string::npos);
}

TEST_CASE("The file may be named by the environment") {
  const ConfigFile file("[listen]\nport = 0\npath = \"/x\"\n[storage]\nno_persist = true\n");
  Process process({}, {"CONAT_CONFIG=" + file.path()});
  CHECK(process.read_line().value_or("").find("/x (") != std::string::npos);
}

TEST_CASE("What is wrong in the file is told with its line") {
  struct Wrong {
    std::string content;
    int line;
    std::string text;
  };
  for (const Wrong& wrong : std::vector<Wrong>{
           {"[limits]\n\nmax_paylod = 1\n", 3,
            "unknown key 'max_paylod' in [limits]; did you mean 'max_payload'?"},
           {"[log]\nquux_frobnicate = 1\n", 2, "there are log_level"},
           {"\n[limit]\n", 2, "unknown table [limit]; did you mean 'limits'?"},
           {"port = 80\n", 1, "unknown table [port]"},
           {"[listen]\nport = 70000\n", 2,
            "'listen.port' must be a whole number from 0 to 65535, not '70000'"},
           {"[listen]\nport = -1\n", 2, "'listen.port' must be a whole number from 0 to 65535"},
           {"[listen]\nport = \"80\"\n", 2, "'listen.port' must be a number"},
           {"[listen]\nport = 80.5\n", 2, "'listen.port' must be a whole number"},
           {"[broker]\nid = 5\n", 2, "'broker.id' must be text, in quotes"},
           {"[storage]\nno_persist = \"yes\"\n", 2, "'storage.no_persist' must be true or false"},
           {"[storage]\ndurability = \"maybe\"\n", 2,
            "'storage.durability' must be disk or os, not 'maybe'"},
           {"[origins]\norigins = \"*\"\n", 2, "'origins.origins' must be an array of texts"},
           {"[listen]\nport = 1\nport = 2\n", 3, ""},
           {"[listen\n", 1, ""},
           {"listen = 5\n", 1, "'listen' must be a table: [listen]"},
           {"[[rules]]\nallow = [\"a..b\"]\n", 2, "'a..b' is not a valid pattern of subjects"},
           {"[[rules]]\n\nallow = [\"{account}\"]\n", 3, "has a brace that is no placeholder"},
           {"[[rules]]\nactions = [\"pub\"]\n", 1, "a rule needs 'allow' or 'deny'"},
           {"[[rules]]\nallow = [\"a\"]\ndeny = [\"b\"]\n", 3, "either allows or denies"},
           {"[[rules]]\nallow = [\"a\"]\nactions = [\"pup\"]\n", 3,
            "unknown word 'pup' in 'actions'; did you mean 'pub'?"},
           {"[[rules]]\nallow = []\n", 2, "an array of texts that is not empty"},
           {"[[rules]]\nalow = [\"a\"]\n", 2, "did you mean 'allow'?"},
       }) {
    CAPTURE(wrong.content);
    const ConfigFile file(wrong.content);
    const std::string errors = errors_of(file);
    CAPTURE(errors);
    CHECK(errors.find("conatd: " + file.path() + ":" + std::to_string(wrong.line) + ": ") == 0);
    CHECK(errors.find(wrong.text) != std::string::npos);
  }
}

TEST_CASE("What is wrong altogether says what to do") {
  const std::string rules = "[[rules]]\nallow = [\"a\"]\n";
  CHECK(errors_of(ConfigFile(rules)).find("no authentication") != std::string::npos);
  CHECK(errors_of(ConfigFile("[storage]\nno_persist = true\nbackup = \"x\"\n"))
            .find("--backup has no meaning together with --no-persist") != std::string::npos);
  CHECK(errors_of(ConfigFile("[authentication]\nanonymous_user = '{\"account\":\"x\"}'\n"))
            .find("--anonymous-user must be {\"account_id\":\"...\"}") != std::string::npos);
  CHECK(errors_of(ConfigFile("[authentication]\nusers = \"/nowhere/users\"\n"))
            .find("/nowhere/users") != std::string::npos);
  CHECK(errors_of(ConfigFile("[authentication]\njwks = [\"/nowhere/jwks\"]\n"))
            .find("/nowhere/jwks") != std::string::npos);
  CHECK(errors_of(ConfigFile("[authentication]\nsystem_password_file = \"/nowhere/p\"\n"))
            .find("--system-password-file: cannot read /nowhere/p") != std::string::npos);
  CHECK(errors_of(ConfigFile("[origins]\norigins = [\"not an origin\"]\n")).find("not an origin") !=
        std::string::npos);
  const ConfigFile users("");
  const std::string path = users.beside("users", "{\"name\":\"x\"}\n");
  CHECK(errors_of(ConfigFile("[authentication]\nusers = " + quoted(path) + "\n")).find("line 1") !=
        std::string::npos);
  Process missing({"check-config", "/nowhere/conatd.toml"});
  CHECK(missing.wait() == 2);
  CHECK(missing.errors().find("cannot read the configuration file /nowhere/conatd.toml") !=
        std::string::npos);
}

TEST_CASE("A secret is not repeated in an error") {
  const ConfigFile both(
      "[authentication]\nsystem_password = \"hunter2\"\n"
      "system_password_file = \"/nowhere\"\n");
  const std::string errors = errors_of(both);
  CHECK(errors.find("hunter2") == std::string::npos);
  CHECK(errors.find("give one of them") != std::string::npos);
}

TEST_CASE("With authentication it listens elsewhere, and does not claim development") {
  const Arguments arguments{"--port", "0", "--no-persist", "--host", "127.0.0.2"};
  const std::string password = "CONAT_SYSTEM_PASSWORD=secret";
  Process process(arguments, {password});
  const std::string line = process.read_line().value_or("");
  CHECK(line.find("conatd listening on http://127.0.0.2:") == 0);
  CHECK(line.find("development") == std::string::npos);
  Process refused(arguments);
  CHECK(refused.wait() == 2);
  CHECK(refused.errors().find("refusing to listen on 127.0.0.2") != std::string::npos);
  Process no_address({"--port", "0", "--host", "example.com"}, {password});
  CHECK(no_address.wait() == 2);
  CHECK(no_address.errors().find("--host must be an address") != std::string::npos);
}

TEST_CASE("The archive and the backup get their copies") {
  TemporaryDirectory copies;
  const auto archive = copies.path() / "archive";
  const auto backup = copies.path() / "backup";
  RunningBroker broker(
      {"--archive", archive.string(), "--archive-interval", "100", "--backup", backup.string()});
  REQUIRE(eventually([&] { return request(broker.port(), "/readyz").status == 200; }));
  CHECK(std::filesystem::is_directory(archive));
  CHECK(std::filesystem::is_directory(backup));
}

TEST_CASE("A line for the users file") {
  Process empty({"hash-password", "ada"});
  CHECK(empty.wait() == 2);
  CHECK(empty.errors().find("the password is empty") != std::string::npos);
  Process nobody({"hash-password", "ada", "{\"account\":\"x\"}"});
  CHECK(nobody.wait() == 2);

  const ConfigFile file("");
  Process hashing({"hash-password", "ada"}, {}, file.beside("typed", "open sesame\n"));
  const std::string hashed = hashing.read_line().value_or("");
  CHECK(hashing.wait() == 0);
  CHECK(hashed.find(
            "{\"name\":\"ada\",\"user\":{\"account_id\":\"ada\"},\"password\":\"$scrypt$") == 0);
  CHECK(hashed.find("sesame") == std::string::npos);
  Process process({"hash-password", "build", "{\"project_id\":\"p\"}", "--token"});
  const std::string line = process.read_line().value_or("");
  CHECK(process.wait() == 0);
  std::string token = process.errors();
  REQUIRE(token.size() == 33);
  token.pop_back();
  const std::string users = file.beside("users", hashed + "\n" + line + "\n");
  RunningBroker broker({"--users", users});
  WebSocket socket(broker.port());
  socket.receive_text("0{");
  socket.send_text("40{\"token\":\"" + token + "\"}");
  const std::string info = socket.receive_text("420[\"info\"");
  CHECK(info.find("\"user\":{\"project_id\":\"p\"}") != std::string::npos);
  const auto with_password = [&](const std::string& password, const std::string& answer) {
    WebSocket other(broker.port());
    other.receive_text("0{");
    other.send_text("40{\"username\":\"ada\",\"password\":\"" + password + "\"}");
    CHECK(other.receive_text("42").find(answer) != std::string::npos);
  };
  with_password("open sesame", "\"user\":{\"account_id\":\"ada\"}");
  with_password("close sesame", "\"error\":\"authentication failed: wrong name or password\"");
}

TEST_CASE("Users are read again on SIGHUP, and stay when they cannot be") {
  const ConfigFile file("");
  const auto line = [](const std::string& name, const std::string& token) {
    return "{\"name\":\"" + name + "\",\"user\":{\"account_id\":\"" + name + "\"},\"token\":\"" +
           auth::stored_token(token) + "\"}\n";
  };
  const std::string users = file.beside("users", line("ada", "one"));
  RunningBroker broker({"--users", users});
  const auto signs_in = [&](const std::string& token) {
    WebSocket socket(broker.port());
    socket.receive_text("0{");
    socket.send_text("40{\"token\":\"" + token + "\"}");
    return socket.receive_text("42").find("\"account_id\"") != std::string::npos;
  };
  CHECK(signs_in("one"));
  CHECK_FALSE(signs_in("two"));
  file.beside("users", line("bob", "two"));
  broker.process().signal(SIGHUP);
  CHECK(eventually([&] { return signs_in("two"); }));
  CHECK_FALSE(signs_in("one"));
  file.beside("users", line("eve", "three") + "broken\n");
  broker.process().signal(SIGHUP);
  // The signal was taken: a later change shows.
  CHECK(signs_in("two"));
  CHECK_FALSE(signs_in("three"));
  file.beside("users", line("eve", "three"));
  broker.process().signal(SIGHUP);
  CHECK(eventually([&] { return signs_in("three"); }));
}

TEST_CASE("Who shows nothing is refused, or is the configured user") {
  SECTION("refused") {
    RunningBroker broker({"--system-password", "secret"});
    WebSocket socket(broker.port());
    socket.receive_text("0{");
    socket.send_text("40");
    const std::string info = socket.receive_text("42[\"info\"");
    CHECK(
        info.find("\"user\":{\"error\":\"authentication failed: no credentials\",\"code\":401}") !=
        std::string::npos);
    CHECK(socket.receive_text("41") == "41");
  }
  SECTION("the configured one, without authentication: it may do everything") {
    RunningBroker broker({"--anonymous-user", "{\"account_id\":\"dev\"}"});
    WebSocket socket(broker.port());
    CHECK(socket.sign_in().find("\"user\":{\"account_id\":\"dev\"}") != std::string::npos);
    socket.send_text("421[\"subscribe\",{\"subject\":\">\",\"queue\":\"q\"}]");
    CHECK(socket.receive_text("431[") == "431[{\"status\":\"added\"}]");
  }
}

TEST_CASE("Pages of other origins may not connect") {
  const auto status = [](std::uint16_t port, const std::string& headers) {
    Connection connection(port);
    std::string head = upgrade_request();
    head.insert(head.find("\r\n") + 2, headers);
    connection.send(head);
    return connection.receive_response().status;
  };
  const auto own = [](std::uint16_t port) {
    return "Origin: http://127.0.0.1:" + std::to_string(port) + "\r\n";
  };
  SECTION("in development: but those of this machine") {
    RunningBroker broker;
    CHECK(status(broker.port(), "") == 101);
    CHECK(status(broker.port(), own(broker.port())) == 101);
    CHECK(status(broker.port(), "Origin: http://localhost:5173\r\n") == 101);
    CHECK(status(broker.port(), "Origin: https://evil.example\r\n") == 403);
    CHECK(status(broker.port(), "Origin: http://localhost.evil.example\r\n") == 403);
    CHECK(status(broker.port(), "Origin: null\r\n") == 403);
  }
  SECTION("with authentication") {
    RunningBroker broker({"--system-password", "secret", "--origins", "https://a.example",
                          "--origins-with-cookies", "https://b.example"});
    CHECK(status(broker.port(), "") == 101);
    CHECK(status(broker.port(), "Origin: http://localhost:5173\r\n") == 403);
    CHECK(status(broker.port(), "Origin: https://c.example\r\n") == 403);
    CHECK(status(broker.port(), "Origin: https://a.example\r\n") == 101);
    CHECK(status(broker.port(), "Origin: https://b.example\r\n") == 101);
  }
}

TEST_CASE("Cookies of foreign pages do not count") {
  RunningBroker broker({"--system-password", "secret", "--origins", "https://a.example",
                        "--origins-with-cookies", "https://b.example"});
  const auto user = [&](const std::string& origin) {
    Connection connection(broker.port());
    std::string head = upgrade_request();
    head.insert(head.find("\r\n") + 2, origin + "Cookie: x=1; sys=secret\r\n");
    connection.send(head);
    Bytes connect;
    append_masked_frame(connect, WebSocketOpcode::text, as_bytes("40"), 0x01020304);
    connection.send(std::string(connect.begin(), connect.end()));
    REQUIRE(eventually([&] {
      return connection.received().find("\"info\"") != std::string::npos || !connection.receive();
    }));
    return connection.received().find("{\"hub_id\":\"system\"}") != std::string::npos ? "system"
           : connection.received().find("no credentials") != std::string::npos        ? "nobody"
                                                                                      : "?";
  };
  CHECK(user("") == std::string("system"));
  CHECK(user("Origin: https://a.example\r\n") == std::string("nobody"));
  CHECK(user("Origin: https://b.example\r\n") == std::string("system"));
}

}  // namespace conat::test
