#include "broker/config_file.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <optional>
#include <sstream>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace conat::server {
namespace {

constexpr std::size_t max_file_bytes = 16u << 20;

// How many letters have to be changed to make one word of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0u : 1u);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

// "did you mean 'x'?", or the whole list when nothing is like it.
std::string suggestion(std::string_view wrong, const std::vector<std::string>& known) {
  const auto nearest = std::min_element(
      known.begin(), known.end(),
      [&](const auto& a, const auto& b) { return distance(wrong, a) < distance(wrong, b); });
  if (nearest != known.end() && distance(wrong, *nearest) <= 2 + wrong.size() / 4) {
    return "did you mean '" + *nearest + "'?";
  }
  std::string text = "there are ";
  for (const std::string& name : known) text += (&name == &known.front() ? "" : ", ") + name;
  return text;
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path) {}

  Status read(const toml::table& file) {
    for (const auto& [key, node] : file) {
      const Status status = read_top(key.str(), node);
      if (!status) return status;
    }
    return Nothing{};
  }
  ConfigFile take() { return std::move(config_); }

 private:
  std::string place(const toml::node& node) const {
    return path_.string() + ":" + std::to_string(node.source().begin.line);
  }
  Error error(const toml::node& node, const std::string& text) const {
    return Error(ErrorKind::invalid_argument, place(node) + ": " + text);
  }

  Status read_top(std::string_view name, const toml::node& node) {
    if (name == "rules") return read_rules(node);
    std::vector<std::string> names;
    for (const OptionSection& section : option_sections()) names.emplace_back(section.name);
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      names.emplace_back("rules");
      return error(node, "unknown table [" + std::string(name) + "]; " + suggestion(name, names));
    }
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      return error(node,
                   "'" + std::string(name) + "' must be a table: [" + std::string(name) + "]");
    }
    for (const auto& [key, value] : *table) {
      const Status status = read_option(name, key.str(), value);
      if (!status) return status;
    }
    return Nothing{};
  }

  Status read_option(std::string_view section, std::string_view key, const toml::node& node) {
    std::vector<std::string> keys;
    for (const OptionRow& row : option_table()) {
      if (row.section != section) continue;
      keys.push_back(option_key(row));
      if (keys.back() != key) continue;
      std::optional<std::vector<std::string>> values = values_of(row, node);
      if (!values) return error(node, "'" + option_full_key(row) + "' must be " + wanted(row));
      config_.entries.push_back({&row, std::move(*values), place(node)});
      return Nothing{};
    }
    return error(node, "unknown key '" + std::string(key) + "' in [" + std::string(section) +
                           "]; " + suggestion(key, keys));
  }

  static bool is_number(const OptionRow& row) {
    return !is_flag(row) && !is_list(row) &&
           !std::holds_alternative<std::string Options::*>(row.field) &&
           !std::holds_alternative<std::filesystem::path Options::*>(row.field);
  }

  static const char* wanted(const OptionRow& row) {
    if (is_flag(row)) return "true or false";
    if (is_list(row)) return "an array of texts";
    return is_number(row) ? "a number" : "text, in quotes";
  }

  // nullopt when the value is of another type than the option.
  static std::optional<std::vector<std::string>> values_of(const OptionRow& row,
                                                           const toml::node& node) {
    if (is_list(row)) return texts_of(node);
    if (is_flag(row)) {
      const auto flag = node.value_exact<bool>();
      if (!flag) return std::nullopt;
      return std::vector<std::string>{*flag ? "true" : "false"};
    }
    if (is_number(row)) {
      if (const auto whole = node.value_exact<std::int64_t>()) {
        return std::vector<std::string>{std::to_string(*whole)};
      }
      if (const auto real = node.value_exact<double>()) {
        char text[64];
        std::snprintf(text, sizeof text, "%.17g", *real);
        return std::vector<std::string>{text};
      }
      return std::nullopt;
    }
    const auto text = node.value_exact<std::string>();
    if (!text) return std::nullopt;
    return std::vector<std::string>{*text};
  }

  static std::optional<std::vector<std::string>> texts_of(const toml::node& node) {
    const toml::array* array = node.as_array();
    if (array == nullptr) return std::nullopt;
    std::vector<std::string> texts;
    for (const toml::node& item : *array) {
      const auto text = item.value_exact<std::string>();
      if (!text) return std::nullopt;
      texts.push_back(*text);
    }
    return texts;
  }

  // ---- [[rules]] ----

  Status read_rules(const toml::node& node) {
    const toml::array* rules = node.as_array();
    if (rules == nullptr) return error(node, "'rules' must be tables: [[rules]]");
    for (const toml::node& rule : *rules) {
      const toml::table* table = rule.as_table();
      if (table == nullptr) return error(rule, "'rules' must be tables: [[rules]]");
      const Status status = read_rule(*table);
      if (!status) return status;
    }
    return Nothing{};
  }

  Status read_rule(const toml::table& table) {
    static const std::vector<std::string> keys = {"allow", "deny", "actions", "users"};
    AuthorizationRule rule;
    const toml::node* patterns = nullptr;
    for (const auto& [key, node] : table) {
      if (key == "allow" || key == "deny") {
        if (patterns != nullptr) return error(node, "a rule either allows or denies, not both");
        patterns = &node;
        rule.allow = key == "allow";
      } else if (key == "actions") {
        const Status status =
            read_choices(node, "actions", {{"pub", &rule.publish}, {"sub", &rule.subscribe}});
        if (!status) return status;
      } else if (key == "users") {
        const Status status = read_choices(
            node, "users",
            {{"account", &rule.accounts}, {"project", &rule.projects}, {"hub", &rule.hubs}});
        if (!status) return status;
      } else {
        return error(node, "unknown key '" + std::string(key.str()) + "' in [[rules]]; " +
                               suggestion(key.str(), keys));
      }
    }
    if (patterns == nullptr) {
      return error(table, "a rule needs 'allow' or 'deny' with an array of patterns");
    }
    return add_rules(rule, *patterns);
  }

  Status add_rules(AuthorizationRule rule, const toml::node& patterns) {
    const toml::array* array = patterns.as_array();
    if (array == nullptr || array->empty()) {
      return error(patterns, "the patterns of a rule must be an array of texts that is not empty");
    }
    for (const toml::node& item : *array) {
      const auto pattern = item.value_exact<std::string>();
      if (!pattern) return error(item, "the patterns of a rule must be texts");
      rule.pattern = *pattern;
      if (const Status status = check_rule(rule); !status) return error(item, status.error().text);
      config_.rules.push_back(rule);
    }
    return Nothing{};
  }

  // An array of words, each of which turns one thing on; what is not named is off.
  Status read_choices(const toml::node& node, const std::string& name,
                      const std::vector<std::pair<std::string, bool*>>& choices) {
    const auto words = texts_of(node);
    std::vector<std::string> known;
    for (const auto& [word, on] : choices) {
      *on = false;
      known.push_back(word);
    }
    if (!words || words->empty()) {
      return error(node, "'" + name + "' must be an array of texts that is not empty");
    }
    for (const std::string& word : *words) {
      const auto choice = std::find_if(choices.begin(), choices.end(),
                                       [&](const auto& one) { return one.first == word; });
      if (choice == choices.end()) {
        return error(node,
                     "unknown word '" + word + "' in '" + name + "'; " + suggestion(word, known));
      }
      *choice->second = true;
    }
    return Nothing{};
  }

  const std::filesystem::path& path_;
  ConfigFile config_;
};

Error cannot_read(const std::filesystem::path& path, const std::string& why) {
  return Error(ErrorKind::invalid_argument,
               "cannot read the configuration file " + path.string() + ": " + why);
}

}  // namespace

Result<ConfigFile> read_config_file(const std::filesystem::path& path) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(path, failed)) {
    return cannot_read(path, failed ? failed.message() : "it is no file");
  }
  if (std::filesystem::file_size(path, failed) > max_file_bytes) {
    return cannot_read(path, "it is too large");
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file) return cannot_read(path, "it may not be read");
  const toml::parse_result parsed = toml::parse(content.str(), path.string());
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return Error(ErrorKind::invalid_argument, path.string() + ":" +
                                                  std::to_string(error.source().begin.line) + ": " +
                                                  std::string(error.description()));
  }
  Reader reader(path);
  if (const Status status = reader.read(parsed.table()); !status) return status.error();
  return reader.take();
}

}  // namespace conat::server
