// How authentications ended, by what the client showed.
//
// Thread safety: plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace conat::server {

// What a client shows of itself.
enum class SignInMethod : std::uint8_t { nothing, system, token, password };
inline constexpr std::size_t sign_in_method_count = 4;
// For logs and metrics.
const char* sign_in_method_text(SignInMethod method);

struct SignInCounters {
  std::array<std::uint64_t, sign_in_method_count> accepted{};
  std::array<std::uint64_t, sign_in_method_count> refused{};

  void count(SignInMethod method, bool success) {
    ++(success ? accepted : refused)[static_cast<std::size_t>(method)];
  }
};

}  // namespace conat::server
