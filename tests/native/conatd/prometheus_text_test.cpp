// The text format, letter by letter; that what conatd answers is well-formed is checked by the
// integration tests with a parser.
#include "broker/prometheus_text.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <limits>

namespace conat::server {

TEST_CASE("Families, labels and numbers in Prometheus' text format") {
  PrometheusText out;
  out.family("a_total", MetricType::counter, "What is counted");
  out.sample({}, std::uint64_t{18446744073709551615u});
  out.sample({{"name", "quote \" backslash \\ line\n"}, {"other", ""}}, std::uint64_t{0});
  out.family("b_seconds", MetricType::gauge, "Time");
  out.sample({{"x", "1"}}, 0.1);
  out.sample({{"x", "2"}}, std::numeric_limits<double>::infinity());
  CHECK(out.text() ==
        "# HELP a_total What is counted\n"
        "# TYPE a_total counter\n"
        "a_total 18446744073709551615\n"
        "a_total{name=\"quote \\\" backslash \\\\ line\\n\",other=\"\"} 0\n"
        "# HELP b_seconds Time\n"
        "# TYPE b_seconds gauge\n"
        "b_seconds{x=\"1\"} 0.1\n"
        "b_seconds{x=\"2\"} +Inf\n");
}

TEST_CASE("A histogram is cumulative") {
  PrometheusText out;
  out.family("h_seconds", MetricType::histogram, "Time");
  const std::array<double, 2> bounds = {0.001, 2.5};
  const std::array<std::uint64_t, 3> counts = {3, 0, 4};
  out.histogram(bounds, counts, 12.25);
  CHECK(out.text() ==
        "# HELP h_seconds Time\n"
        "# TYPE h_seconds histogram\n"
        "h_seconds_bucket{le=\"0.001\"} 3\n"
        "h_seconds_bucket{le=\"2.5\"} 3\n"
        "h_seconds_bucket{le=\"+Inf\"} 7\n"
        "h_seconds_sum 12.25\n"
        "h_seconds_count 7\n");
}

}  // namespace conat::server
