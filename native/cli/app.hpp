// The commands and options as CLI11 knows them.
//
// Thread safety: none.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/options.hpp"

namespace conat::cli {

// What CLI11 fills in, before it is checked.
struct RawOptions {
  Options options;
  double timeout_seconds = 10;
  std::string value;
  std::string auth;
  std::string headers;
};

// Adds everything to `app`, which fills in `raw`.
void define_app(CLI::App& app, RawOptions& raw);

}  // namespace conat::cli
