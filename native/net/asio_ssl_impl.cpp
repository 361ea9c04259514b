// Boost.Asio's TLS, compiled here and nowhere else (conat_asio has the rest).

// clang-format off
#include <utility>
#include <boost/asio/ssl/impl/src.hpp>
// clang-format on
