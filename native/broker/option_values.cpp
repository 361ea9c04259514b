// Names, texts and values of options.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <type_traits>

#include "broker/option_table.hpp"

namespace conat::server {
namespace {

std::string number_text(double number) {
  char text[64];
  std::snprintf(text, sizeof text, "%.15g", number);
  return text;
}

std::string replaced(std::string_view name, char with, bool upper) {
  std::string text(name);
  for (char& c : text) {
    if (c == '-') c = with;
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

Error wrong(std::string text) { return Error(ErrorKind::invalid_argument, std::move(text)); }

// "a whole number from 1 to 256 (ms)".
std::string wanted_number(const OptionRow& row, bool whole) {
  std::string text = whole ? "must be a whole number" : "must be a number";
  if (std::isfinite(row.most)) {
    text += " from " + number_text(row.least) + " to " + number_text(row.most);
  } else {
    text += ", at least " + number_text(row.least);
  }
  if (!row.unit.empty()) text += " (" + std::string(row.unit) + ")";
  return text;
}

template <class Number>
Status set_number(Number& field, const OptionRow& row, std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool read = error == std::errc() && end == text.data() + text.size() && !text.empty();
  const auto value = static_cast<double>(number);
  if (!read || !std::isfinite(value) || value < row.least || value > row.most) {
    return wrong(wanted_number(row, std::is_integral_v<Number>));
  }
  field = number;
  return Nothing{};
}

Status set_flag(bool& field, std::string_view text) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") {
    field = true;
  } else if (text == "false" || text == "0" || text == "no" || text == "off") {
    field = false;
  } else {
    return wrong("must be true or false");
  }
  return Nothing{};
}

Status set_text(std::string& field, const OptionRow& row, std::string_view text) {
  if (!row.choices.empty() &&
      std::find(row.choices.begin(), row.choices.end(), text) == row.choices.end()) {
    std::string all;
    for (const std::string_view choice : row.choices) {
      if (!all.empty()) all += choice == row.choices.back() ? " or " : ", ";
      all += choice;
    }
    return wrong("must be " + all);
  }
  field = text;
  return Nothing{};
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
  return text;
}

}  // namespace

std::string option_flag(const OptionRow& row) { return "--" + std::string(row.name); }
std::string option_environment(const OptionRow& row) {
  return "CONAT_" + replaced(row.name, '_', true);
}
std::string option_key(const OptionRow& row) { return replaced(row.name, '_', false); }
std::string option_full_key(const OptionRow& row) {
  return std::string(row.section) + "." + option_key(row);
}

bool is_flag(const OptionRow& row) { return std::holds_alternative<bool Options::*>(row.field); }
bool is_list(const OptionRow& row) {
  return std::holds_alternative<std::vector<std::string> Options::*>(row.field);
}

std::string option_placeholder(const OptionRow& row) {
  if (is_flag(row)) return {};
  if (std::holds_alternative<std::filesystem::path Options::*>(row.field)) return "PATH";
  if (!row.choices.empty()) return "CHOICE";
  if (!row.unit.empty()) return replaced(row.unit, '_', true);
  const bool text = std::holds_alternative<std::string Options::*>(row.field);
  return text || is_list(row) ? "TEXT" : "NUMBER";
}

std::string option_default(const OptionRow& row) {
  if (!row.default_text.empty()) return std::string(row.default_text);
  static const Options defaults;
  return std::visit(
      [](auto field) -> std::string {
        const auto& value = defaults.*field;
        using Field = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<Field, bool>) {
          return value ? "true" : "false";
        } else if constexpr (std::is_arithmetic_v<Field>) {
          return number_text(static_cast<double>(value));
        } else if constexpr (std::is_same_v<Field, std::filesystem::path>) {
          return value.string();
        } else if constexpr (std::is_same_v<Field, std::string>) {
          return value;
        } else {
          return joined(value);
        }
      },
      row.field);
}

Status set_list_option(Options& options, const OptionRow& row, std::vector<std::string> items) {
  options.*std::get<std::vector<std::string> Options::*>(row.field) = std::move(items);
  return Nothing{};
}

Status set_option(Options& options, const OptionRow& row, std::string_view text) {
  return std::visit(
      [&](auto field) -> Status {
        auto& value = options.*field;
        using Field = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<Field, bool>) {
          return set_flag(value, text);
        } else if constexpr (std::is_arithmetic_v<Field>) {
          return set_number(value, row, text);
        } else if constexpr (std::is_same_v<Field, std::filesystem::path>) {
          value = std::filesystem::path(text);
          return Nothing{};
        } else if constexpr (std::is_same_v<Field, std::string>) {
          return set_text(value, row, text);
        } else {
          return set_list_option(options, row, split_list(text));
        }
      },
      row.field);
}

std::string options_markdown() {
  std::string text;
  for (const OptionSection& section : option_sections()) {
    text += "\n### `[" + std::string(section.name) + "]` " + std::string(section.title) + "\n\n";
    text += "| option | environment | key | default | unit | what |\n|---|---|---|---|---|---|\n";
    for (const OptionRow& row : option_table()) {
      if (row.section != section.name) continue;
      const std::string given = option_default(row);
      std::string what(row.description);
      if (!row.choices.empty()) {
        what += " (";
        for (const std::string_view choice : row.choices) {
          what += (choice == row.choices.front() ? "`" : ", `") + std::string(choice) + "`";
        }
        what += ")";
      }
      const std::string placeholder = option_placeholder(row);
      text += "| `" + option_flag(row) + (placeholder.empty() ? "" : " " + placeholder) + "` | `" +
              option_environment(row) + "` | `" + option_key(row) + "` | " +
              (given.empty()              ? ""
               : row.default_text.empty() ? "`" + given + "`"
                                          : given) +
              " | " + std::string(row.unit) + " | " + what + " |\n";
    }
  }
  return text;
}

}  // namespace conat::server
