// conatd's command line, taken apart: which options were given, and what is to be done.
//
// Thread safety: plain values.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "broker/option_table.hpp"

namespace conat::server {

struct CommandLine {
  enum class Command { start, check_config, hash_password, print_markdown };
  struct Given {
    const OptionRow* row;
    std::vector<std::string> values;  // of a flag: "true" or "false"
  };

  Command command = Command::start;
  std::vector<Given> given;
  std::filesystem::path config_file;  // empty: none
  // hash_password
  std::string user_name;
  std::string user;  // JSON; empty: an account of that name
  bool make_token = false;
  std::optional<int> exit_code;  // everything is said: end
};

CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace conat::server
