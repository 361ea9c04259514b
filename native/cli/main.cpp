#include "cli/commands.hpp"
#include "cli/options.hpp"

int main(int argc, char** argv) {
  conat::cli::ParsedOptions parsed = conat::cli::parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  return conat::cli::run_command(*std::move(parsed.options));
}
