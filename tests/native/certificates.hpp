// Certificates for tests, signed by themselves.
#pragma once

#include <filesystem>
#include <string>

namespace conat::test {

struct Certificate {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

// For localhost and 127.0.0.1, with a P-256 key; valid between two times, in seconds from now.
Certificate make_certificate(long from_s = -3600, long until_s = 86'400);

struct CertificateFiles {
  std::filesystem::path certificate;
  std::filesystem::path key;
};
CertificateFiles write_certificate(const Certificate& certificate,
                                   const std::filesystem::path& directory);

}  // namespace conat::test
