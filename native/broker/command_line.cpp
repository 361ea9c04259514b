#include "broker/command_line.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

namespace conat::server {
namespace {

constexpr const char* const introduction =
    "conatd, the Conat broker.\n\n"
    "Each option can also be given as an environment variable (CONAT_PORT for --port) or in a\n"
    "configuration file: docs/configuration.md has them all. What stands on the command line "
    "counts\n"
    "first, then the environment, then the file.";

std::string help_of(const OptionRow& row) {
  std::string text(row.description);
  const std::string given = option_default(row);
  if (!is_flag(row) && !given.empty()) text += " [" + given + "]";
  return text;
}

std::string group_of(const OptionRow& row) {
  for (const OptionSection& section : option_sections()) {
    if (section.name == row.section) return std::string(section.title);
  }
  return {};
}

using Declared = std::vector<std::pair<const OptionRow*, CLI::Option*>>;

Declared declare(CLI::App& app) {
  Declared declared;
  for (const OptionRow& row : option_table()) {
    CLI::Option* option =
        is_flag(row) ? app.add_flag(option_flag(row))
                     : app.add_option(option_flag(row))->type_name(option_placeholder(row));
    option->description(help_of(row))->group(group_of(row));
    if (is_list(row)) {
      option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    } else {
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
    declared.emplace_back(&row, option);
  }
  return declared;
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app{introduction, "conatd"};
  app.set_version_flag("--version", std::string("conatd ") + CONAT_VERSION);
  std::string config_file;
  std::string checked_file;
  app.add_option("--config", config_file, "Configuration file (TOML)")
      ->type_name("FILE")
      ->envname("CONAT_CONFIG");
  bool markdown = false;
  app.add_flag("--help-markdown", markdown, "Print the option tables of docs/configuration.md");
  const Declared declared = declare(app);
  app.require_subcommand(0, 1);
  CLI::App* check = app.add_subcommand(
      "check-config", "Check a configuration file as a start with it would, and end");
  check->add_option("file", checked_file, "The file")->required()->type_name("FILE");
  CLI::App* hash = app.add_subcommand(
      "hash-password", "Read a password and print a line for the users file with its hash");
  hash->add_option("name", line.user_name, "The user's name")->required()->type_name("NAME");
  hash->add_option("user", line.user, "Who it is, as JSON; without it {\"account_id\":\"NAME\"}")
      ->type_name("JSON");
  hash->add_flag("--token", line.make_token,
                 "Make a token in place of a password: it is printed to standard error");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    line.exit_code = app.exit(success);
    return line;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "conatd: %s (see conatd --help)\n", error.what());
    line.exit_code = exit_cannot_start;
    return line;
  }
  for (const auto& [row, option] : declared) {
    if (option->count() == 0) continue;
    std::vector<std::string> values = option->results();
    if (!is_list(*row)) values = {values.back()};
    line.given.push_back({row, std::move(values)});
  }
  line.config_file = config_file;
  if (check->parsed()) {
    line.command = CommandLine::Command::check_config;
    line.config_file = checked_file;
  }
  if (hash->parsed()) line.command = CommandLine::Command::hash_password;
  if (markdown) line.command = CommandLine::Command::print_markdown;
  return line;
}

}  // namespace conat::server
