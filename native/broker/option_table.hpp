// The table of conatd's options. Everything that knows options derives from it: the command line,
// the environment, the configuration file, the help, and the tables in docs/configuration.md.
//
// A row's name gives all of its names: `max-payload` in the section `limits` is --max-payload,
// CONAT_MAX_PAYLOAD, and the key `max_payload` in the file's table `[limits]`. Its default is what
// a default Options holds. To add an option: a field in Options, a row here, the line in the
// document
// (`conatd --help-markdown` prints it).
//
// Thread safety: immutable.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "broker/options.hpp"
#include "conat/base/result.hpp"

namespace conat::server {

// Where an option's value goes; its type says how it is written: text and paths as they are,
// numbers in decimal, true or false, lists as text with commas in between.
using OptionField =
    std::variant<std::string Options::*, std::filesystem::path Options::*, std::uint16_t Options::*,
                 unsigned Options::*, std::size_t Options::*, std::int64_t Options::*,
                 double Options::*, bool Options::*, std::vector<std::string> Options::*>;

struct OptionRow {
  std::string_view section;
  std::string_view name;
  OptionField field;
  std::string_view unit;  // of numbers: "ms", "bytes", ...
  std::string_view description;
  // Numbers.
  double least = 0;
  double most = std::numeric_limits<double>::infinity();
  // Text: nothing else is taken, unless empty.
  std::vector<std::string_view> choices = {};
  // Shown in place of the default.
  std::string_view default_text = {};
  bool secret = false;  // never shown
};

struct OptionSection {
  std::string_view name;
  std::string_view title;
};

std::span<const OptionSection> option_sections();
std::span<const OptionRow> option_table();

// "--max-payload", "CONAT_MAX_PAYLOAD", "max_payload", and "limits.max_payload".
std::string option_flag(const OptionRow& row);
std::string option_environment(const OptionRow& row);
std::string option_key(const OptionRow& row);
std::string option_full_key(const OptionRow& row);
// What the command line's help calls the value: "BYTES", "FILE", ...; empty for a flag.
std::string option_placeholder(const OptionRow& row);
// The default as it would be written; for texts and lists that are empty, "".
std::string option_default(const OptionRow& row);

bool is_flag(const OptionRow& row);
bool is_list(const OptionRow& row);

// Sets the option from a text. The error says what would be right, without naming the option.
Status set_option(Options& options, const OptionRow& row, std::string_view text);
Status set_list_option(Options& options, const OptionRow& row, std::vector<std::string> items);

// The tables of docs/configuration.md, section by section.
std::string options_markdown();

}  // namespace conat::server
