// Writes metrics in Prometheus' text format 0.0.4: for each family HELP and TYPE once, then its
// samples. Names and labels are the program's own; label values are escaped.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace conat::server {

enum class MetricType : std::uint8_t { counter, gauge, histogram };

struct MetricLabel {
  std::string_view name;
  std::string_view value;
};

class PrometheusText {
 public:
  using Labels = std::initializer_list<MetricLabel>;

  // Begins a family; what follows are its samples.
  void family(std::string_view name, MetricType type, std::string_view help);
  void sample(Labels labels, std::uint64_t value);
  void sample(Labels labels, double value);
  // A family of one sample without labels.
  template <class Number>
  void single(std::string_view name, MetricType type, std::string_view help, Number value) {
    family(name, type, help);
    sample({}, value);
  }
  // `counts[i]` are the observations up to `bounds[i]` and above the bound before it; the last one,
  // beyond the bounds, are all others.
  void histogram(std::span<const double> bounds, std::span<const std::uint64_t> counts, double sum);

  const std::string& text() const { return text_; }

 private:
  void line(std::string_view suffix, Labels labels, std::string_view value);

  std::string text_;
  std::string name_;
};

}  // namespace conat::server
