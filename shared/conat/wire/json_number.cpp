#include "conat/wire/json_number.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace conat {
namespace {

// Digits behind these can only break a tie, so that one digit stands for all of them.
constexpr std::size_t kMaxDigits = 800;
constexpr std::int64_t kHugeExponent = 1'000'000'000;

// mantissa * 10^exponent, the mantissa's digits without leading zeros.
struct Decimal {
  bool negative = false;
  std::array<char, kMaxDigits + 1> digits;
  std::size_t count = 0;
  std::int64_t exponent = 0;
};

void add_digit(Decimal& decimal, char digit) {
  if (decimal.count == 0 && digit == '0') return;
  if (decimal.count < kMaxDigits) {
    decimal.digits[decimal.count++] = digit;
    return;
  }
  ++decimal.exponent;
  if (digit != '0') {
    // The last place is sticky: it says that something nonzero was left out.
    decimal.digits[kMaxDigits] = '1';
  }
}

Decimal split(std::string_view token) {
  Decimal decimal;
  decimal.digits[kMaxDigits] = '0';
  const char* p = token.data();
  const char* const end = p + token.size();
  if (p != end && *p == '-') {
    decimal.negative = true;
    ++p;
  }
  for (; p != end && is_digit(*p); ++p) add_digit(decimal, *p);
  if (p != end && *p == '.') {
    for (++p; p != end && is_digit(*p); ++p) {
      add_digit(decimal, *p);
      --decimal.exponent;
    }
  }
  if (p != end) {
    ++p;  // e or E
    const bool negative = p != end && *p == '-';
    if (p != end && !is_digit(*p)) ++p;
    std::int64_t exponent = 0;
    for (; p != end; ++p) exponent = std::min(exponent * 10 + (*p - '0'), kHugeExponent);
    decimal.exponent += negative ? -exponent : exponent;
  }
  if (decimal.digits[kMaxDigits] != '0') {
    decimal.count = kMaxDigits + 1;
    --decimal.exponent;
  }
  return decimal;
}

// Small mantissas and exponents: both are exact as doubles, so that one operation rounds once.
bool exact_product(const Decimal& decimal, double& result) {
  constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (decimal.count > 15 || decimal.exponent < -22 || decimal.exponent > 22) return false;
  std::int64_t mantissa = 0;
  for (std::size_t i = 0; i < decimal.count; ++i)
    mantissa = mantissa * 10 + (decimal.digits[i] - '0');
  const double power = kPowers[decimal.exponent < 0 ? -decimal.exponent : decimal.exponent];
  const auto exact = static_cast<double>(mantissa);
  result = decimal.exponent < 0 ? exact / power : exact * power;
  return true;
}

double to_double(const Decimal& decimal) {
  double result = 0;
  if (decimal.count != 0 && !exact_product(decimal, result)) {
    // Written without a decimal point, which strtod would look up in the locale.
    std::array<char, kMaxDigits + 32> text;
    char* p = std::copy_n(decimal.digits.begin(), decimal.count, text.data());
    const auto exponent =
        static_cast<int>(std::clamp<std::int64_t>(decimal.exponent, -100'000, 100'000));
    std::snprintf(p, static_cast<std::size_t>(text.data() + text.size() - p), "e%d", exponent);
    result = std::strtod(text.data(), nullptr);
  }
  return decimal.negative ? -result : result;
}

// The significant digits, without trailing zeros, and the exponent of the first.
struct Digits {
  std::array<char, 17> digits;
  int count = 0;
  int exponent = 0;
};

Digits print(double magnitude, int precision) {
  std::array<char, 48> text;
  std::snprintf(text.data(), text.size(), "%.*e", precision - 1, magnitude);
  Digits result;
  const char* p = text.data();
  for (; *p != 'e'; ++p) {
    // Whatever else stands here is the locale's decimal point.
    if (is_digit(*p) && result.count < 17)
      result.digits[static_cast<std::size_t>(result.count++)] = *p;
  }
  result.exponent = static_cast<int>(std::strtol(p + 1, nullptr, 10));
  while (result.count > 1 && result.digits[static_cast<std::size_t>(result.count - 1)] == '0') {
    --result.count;
  }
  return result;
}

double read_back(const Digits& digits) {
  Decimal decimal;
  decimal.count = static_cast<std::size_t>(digits.count);
  std::copy_n(digits.digits.begin(), digits.count, decimal.digits.begin());
  decimal.exponent = digits.exponent - (digits.count - 1);
  return to_double(decimal);
}

// The next larger number of as many digits.
Digits step_up(Digits digits, int precision) {
  for (; digits.count < precision; ++digits.count) {
    digits.digits[static_cast<std::size_t>(digits.count)] = '0';
  }
  while (digits.count > 0 && digits.digits[static_cast<std::size_t>(digits.count - 1)] == '9') {
    --digits.count;
  }
  if (digits.count == 0) {
    digits.digits[0] = '1';
    digits.count = 1;
    ++digits.exponent;
  } else {
    ++digits.digits[static_cast<std::size_t>(digits.count - 1)];
  }
  return digits;
}

Digits shortest(double magnitude) {
  // Any 15 digits survive the way through a normal double, so that fewer need not be tried.
  constexpr double kSmallestNormal = 0x1.0p-1022;
  for (int precision = magnitude < kSmallestNormal ? 1 : 15; precision < 17; ++precision) {
    const Digits digits = print(magnitude, precision);
    if (read_back(digits) == magnitude) return digits;
    // Below a power of two doubles lie closer than above it: what is rounded up may still read back
    // when the nearest number, rounded down, does not.
    const Digits above = step_up(digits, precision);
    if (precision == 16 && read_back(above) == magnitude) return above;
  }
  return print(magnitude, 17);
}

}  // namespace

Value parse_json_number(std::string_view token) {
  const bool whole =
      std::all_of(token.begin(), token.end(), [](char c) { return is_digit(c) || c == '-'; });
  if (whole) {
    std::int64_t integer = 0;
    std::uint64_t big = 0;
    const char* const end = token.data() + token.size();
    if (std::from_chars(token.data(), end, integer).ec == std::errc{}) return integer;
    if (std::from_chars(token.data(), end, big).ec == std::errc{}) return big;
  }
  return to_double(split(token));
}

void append_json_number(std::string& out, double number) {
  if (!std::isfinite(number)) {
    out.append("null");
    return;
  }
  if (number == 0) {
    out.push_back('0');
    return;
  }
  if (number < 0) out.push_back('-');
  const Digits shown = shortest(std::fabs(number));
  const char* const digits = shown.digits.data();
  const auto count = static_cast<std::size_t>(shown.count);
  const int point = shown.exponent + 1;  // how many digits stand before the decimal point
  if (point >= shown.count && point <= 21) {
    out.append(digits, count).append(static_cast<std::size_t>(point - shown.count), '0');
  } else if (point > 0 && point <= 21) {
    out.append(digits, static_cast<std::size_t>(point)).push_back('.');
    out.append(digits + point, static_cast<std::size_t>(shown.count - point));
  } else if (point > -6 && point <= 0) {
    out.append("0.").append(static_cast<std::size_t>(-point), '0').append(digits, count);
  } else {
    out.push_back(digits[0]);
    if (count > 1) out.append(".").append(digits + 1, count - 1);
    out.append(shown.exponent < 0 ? "e-" : "e+");
    out.append(std::to_string(std::abs(shown.exponent)));
  }
}

}  // namespace conat
