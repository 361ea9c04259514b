#include "broker/prometheus_text.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace conat::server {
namespace {

std::string_view type_name(MetricType type) {
  switch (type) {
    case MetricType::counter:
      return "counter";
    case MetricType::gauge:
      return "gauge";
    case MetricType::histogram:
      return "histogram";
  }
  return "";
}

void append_escaped(std::string& out, std::string_view value) {
  for (const char each : value) {
    if (each == '\\' || each == '"') out += '\\';
    if (each == '\n') {
      out += "\\n";
    } else {
      out += each;
    }
  }
}

// The shortest text that reads as the same number.
std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 40> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return std::string(text.data(), end);
}

}  // namespace

void PrometheusText::family(std::string_view name, MetricType type, std::string_view help) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ").append(help).append("\n");
  text_.append("# TYPE ").append(name).append(" ").append(type_name(type)).append("\n");
}

void PrometheusText::line(std::string_view suffix, Labels labels, std::string_view value) {
  text_.append(name_).append(suffix);
  char separator = '{';
  for (const MetricLabel& label : labels) {
    text_ += separator;
    text_.append(label.name).append("=\"");
    append_escaped(text_, label.value);
    text_ += '"';
    separator = ',';
  }
  if (separator == ',') text_ += '}';
  text_.append(" ").append(value).append("\n");
}

void PrometheusText::sample(Labels labels, std::uint64_t value) {
  line("", labels, std::to_string(value));
}

void PrometheusText::sample(Labels labels, double value) { line("", labels, number_text(value)); }

void PrometheusText::histogram(std::span<const double> bounds,
                               std::span<const std::uint64_t> counts, double sum) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    const std::string bound = i < bounds.size() ? number_text(bounds[i]) : "+Inf";
    line("_bucket", {{"le", bound}}, std::to_string(total));
  }
  line("_sum", {}, number_text(sum));
  line("_count", {}, std::to_string(total));
}

}  // namespace conat::server
