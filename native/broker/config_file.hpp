// The configuration file: TOML, one table for each section of options, and the operator's rules.
//
// Thread safety: pure functions of the file's content.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "broker/option_table.hpp"
#include "conat/base/result.hpp"
#include "conat/broker/authorization_rules.hpp"

namespace conat::server {

struct ConfigFile {
  struct Entry {
    const OptionRow* row;
    std::vector<std::string> values;  // of a list all, else one
    std::string place;                // "FILE:LINE"
  };
  std::vector<Entry> entries;
  std::vector<AuthorizationRule> rules;
};

// The error's text begins with the file and the line and says what to do.
Result<ConfigFile> read_config_file(const std::filesystem::path& path);

}  // namespace conat::server
