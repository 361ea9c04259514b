#include <array>
#include <cstdio>
#include <string>

#include "cli/commands.hpp"

namespace conat::cli {
namespace {

std::string read_standard_input() {
  std::string text;
  std::array<char, 65'536> buffer;
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), stdin)) {
    text.append(buffer.data(), size);
  }
  // The newline with which a line ends is no part of the value.
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

int run_command(Options options) {
  if (options.value == "-") options.value = read_standard_input();
  Session session(std::move(options));
  return session.run([&session] {
    switch (session.options().command) {
      case Command::publish:
        return begin_publish(session);
      case Command::subscribe:
        return begin_subscribe(session);
      case Command::request:
        return begin_request(session);
      case Command::reply:
        return begin_reply(session);
      case Command::interest:
        return begin_interest(session);
      case Command::kv_get:
      case Command::kv_set:
      case Command::kv_delete:
      case Command::kv_list:
      case Command::kv_watch:
        return begin_kv(session);
    }
  });
}

}  // namespace conat::cli

int main(int argc, char** argv) {
  conat::cli::ParsedOptions parsed = conat::cli::parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  return conat::cli::run_command(*std::move(parsed.options));
}
