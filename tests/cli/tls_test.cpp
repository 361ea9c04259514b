// The native client through TLS: certificates are checked, and data passes.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "cli/program.hpp"
#include "cli/tls_proxy.hpp"
#include "conatd/process.hpp"

using namespace conat::test;

TEST_CASE("conat: https, with a certificate that is trusted or not") {
  TemporaryDirectory directory;
  const std::string certificate = (directory.path() / "certificate.pem").string();
  RunningBroker broker;
  TlsProxy proxy(broker.port(), certificate);
  const std::string port = std::to_string(proxy.port());
  {
    Program pub({"--server", "https://localhost:" + port, "--timeout", "3", "pub", "a", "1"});
    CHECK(pub.wait() == 1);
    CHECK(pub.errors().find("TLS: certificate verify failed") != std::string::npos);
  }
  {
    Program pub({"--server", "https://localhost:" + port, "--timeout", "40", "--ca-file",
                 certificate, "pub", "a", "1"});
    CHECK(pub.wait() == 0);
  }
  {
    Program pub({"--server", "https://127.0.0.1:" + port, "--timeout", "40", "--insecure", "pub",
                 "a", "1"});
    CHECK(pub.wait() == 0);
  }
  {
    Program pub({"--server", "https://localhost:" + port, "--timeout", "3", "--ca-file",
                 certificate + ".none", "pub", "a", "1"});
    CHECK(pub.wait() == 1);
    CHECK(pub.errors().find("cannot read certificates from") != std::string::npos);
  }
  REQUIRE(::setenv("SSL_CERT_FILE", certificate.c_str(), 1) == 0);
  {
    Program pub({"--server", "https://localhost:" + port, "--timeout", "40", "pub", "a", "-"},
                std::string(1'000'000, 'x'));
    CHECK(pub.wait() == 0);
    CHECK(pub.output() == "published 1000005 bytes to 0 subscribers\n");
  }
  {
    // The certificate is trusted, but of another host.
    Program pub({"--server", "https://127.0.0.1:" + port, "--timeout", "3", "pub", "a", "1"});
    CHECK(pub.wait() == 1);
    CHECK(pub.errors().find("TLS: certificate verify failed") != std::string::npos);
  }
  REQUIRE(::unsetenv("SSL_CERT_FILE") == 0);
}
