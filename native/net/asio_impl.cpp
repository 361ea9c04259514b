// Boost.Asio's implementation, compiled here and nowhere else.

// clang-format off
#include <utility>
#include <boost/asio/impl/src.hpp>
// clang-format on
