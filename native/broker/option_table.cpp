#include "broker/option_table.hpp"

namespace conat::server {
namespace {

constexpr double one_hour_ms = 3'600'000;
constexpr double one_day_ms = 24 * one_hour_ms;

constexpr OptionSection sections[] = {
    {"listen", "Where it listens, and what it serves there"},
    {"broker", "The broker itself"},
    {"limits", "Bounds"},
    {"timeouts", "Times"},
    {"storage", "Stored streams"},
    {"log", "What it says"},
    {"authentication", "Who connects"},
    {"origins", "Which web pages may connect"},
};

// One row an option: section, name, field, unit, description.
const OptionRow rows[] = {
    {"listen", "host", &Options::host, "",
     "Address to listen on. Any but this machine's own needs authentication"},
    {"listen", "port", &Options::port, "", "Port to listen on; 0 picks a free one", 0, 65535},
    {"listen", "path", &Options::base_path, "", "Base path: the socket is at {base}/conat"},
    {"listen", "web", &Options::web_directory, "",
     "Serve this directory in place of the built-in page"},
    {"listen", "tls-certificate", &Options::tls_certificate, "",
     "PEM file with the certificate and its chain: serves HTTPS; read again on SIGHUP"},
    {"listen", "tls-key", &Options::tls_key, "",
     "PEM file with the certificate's private key; read again on SIGHUP"},
    {"listen", "compression", &Options::compression, "",
     "Agree on `permessage-deflate` with clients that offer it"},

    {"broker", "id", &Options::id, "", "This broker's id"},
    {"broker", "cluster-name", &Options::cluster_name, "", "Name of the cluster"},
    {"broker", "join", &Options::join, "",
     "Addresses of brokers to join, tried until they answer: this one's clients reach their "
     "subscribers. They must have the same system-password"},
    {.section = "broker",
     .name = "shards",
     .field = &Options::shards,
     .unit = "",
     .description = "Event loops, each on a thread of its own",
     .least = 1,
     .most = 256,
     .default_text = "one for each core"},

    {"limits", "max-payload", &Options::max_payload_bytes, "bytes", "Size of one WebSocket message",
     10'000, 1e9},
    {"limits", "max-queue", &Options::max_queue_bytes, "bytes",
     "What may wait for one connection until it counts as too slow; more than 4 times max-payload",
     40'000, 1e12},
    {"limits", "max-subscriptions-per-client", &Options::max_subscriptions_per_client, "",
     "Subscriptions of one connection", 1, 1e9},
    {"limits", "max-subscriptions-per-hub", &Options::max_subscriptions_per_hub, "",
     "Subscriptions of one connection of a hub user", 1, 1e9},
    {"limits", "max-connections", &Options::max_connections, "", "Connections in total", 1, 1e7},
    {"limits", "max-messages-per-second", &Options::max_messages_per_second, "",
     "Events that one connection may send per second, hub users excepted; 0: no limit", 0, 1e9},
    {"limits", "max-bytes-per-second", &Options::max_bytes_per_second, "bytes",
     "What one connection may send per second, hub users excepted; 0: no limit", 0, 1e12},
    {"limits", "rate-burst", &Options::rate_burst_ms, "ms",
     "How much of these two rates may come at once: what comes in so long", 1, one_hour_ms},
    {"limits", "connection-rate", &Options::connection_rate, "",
     "WebSocket connections that one address (IPv6: /64) may open per second; 0: no limit", 0, 1e6},
    {"limits", "connection-burst", &Options::connection_burst, "",
     "WebSocket connections that one address may open at once, if there is a rate", 1, 1e9},
    {"limits", "limit-loopback", &Options::limit_loopback, "",
     "Apply connection-rate to connections from this machine, too"},
    {.section = "limits",
     .name = "max-connections-per-user",
     .field = &Options::max_connections_per_user,
     .unit = "",
     .description = "Connections of one user; 0: no limit",
     .most = 1e7,
     .default_text = "100 with authentication, else 0"},

    {"timeouts", "ping-interval", &Options::ping_interval_ms, "ms", "Time between pings", 100,
     one_hour_ms},
    {"timeouts", "ping-timeout", &Options::ping_timeout_ms, "ms",
     "Time in which a ping must be answered", 100, one_hour_ms},
    {"timeouts", "handshake-timeout", &Options::handshake_timeout_ms, "ms",
     "Time in which an HTTP request must be complete", 10, one_hour_ms},
    {"timeouts", "connect-timeout", &Options::connect_timeout_ms, "ms",
     "Time in which a WebSocket connection must be signed in", 10, one_hour_ms},

    {"storage", "data", &Options::data_directory, "", "Directory of the stored streams"},
    {"storage", "archive", &Options::archive_directory, "",
     "Directory of a second copy of each stream, written while it changes and read back when it is "
     "newer"},
    {"storage", "archive-interval", &Options::archive_interval_ms, "ms",
     "Time between two copies of a stream that changes to the archive", 100, one_day_ms},
    {"storage", "backup", &Options::backup_directory, "",
     "Directory of a copy of each stream, written when it is closed and never read"},
    {.section = "storage",
     .name = "durability",
     .field = &Options::durability,
     .unit = "",
     .description = "When a write is acknowledged: on the disk, or handed to the operating system",
     .choices = {"disk", "os"}},
    {"storage", "no-persist", &Options::no_persist, "", "Run without stored streams"},

    {.section = "log",
     .name = "log-level",
     .field = &Options::log_level,
     .unit = "",
     .description = "The least that is logged",
     .choices = {"trace", "debug", "info", "warning", "error", "off"}},
    {.section = "log",
     .name = "log-format",
     .field = &Options::log_format,
     .unit = "",
     .description = "How: a line of text, or a line with a JSON object",
     .choices = {"text", "json"}},

    {.section = "authentication",
     .name = "system-password",
     .field = &Options::system_password,
     .unit = "",
     .description = "Password of the system account: the cookie `sys=<password>` signs in as "
                    "`{hub_id:\"system\"}`. Better given by a file",
     .secret = true},
    {"authentication", "system-password-file", &Options::system_password_file, "",
     "File whose first line is the password of the system account"},
    {"authentication", "users", &Options::users_file, "",
     "File of users with hashed passwords or tokens; read again when it changes"},
    {"authentication", "jwt-key", &Options::jwt_keys, "",
     "PEM files with public keys or certificates for JWT (RS256, ES256, EdDSA); read again "
     "when they change"},
    {"authentication", "jwt-secret-file", &Options::jwt_secrets, "",
     "Files with a secret for JWT (HS256) of at least 32 bytes; read again when they change"},
    {"authentication", "jwks", &Options::jwks_files, "",
     "Files with a set of keys for JWT (JWKS); read again when they change"},
    {"authentication", "jwt-issuer", &Options::jwt_issuers, "",
     "A token's `iss` must be one of these; none: any will do"},
    {"authentication", "jwt-audience", &Options::jwt_audiences, "",
     "A token's `aud` must hold one of these; none: any will do"},
    {"authentication", "jwt-leeway", &Options::jwt_leeway_ms, "ms",
     "How much the issuer's clock may differ", 0, one_hour_ms},
    {"authentication", "jwt-allow-no-expiry", &Options::jwt_allow_no_expiry, "",
     "Take tokens without `exp`, which are good for ever"},
    {"authentication", "jwt-claim-account-id", &Options::jwt_claim_account_id, "",
     "The claim with the account's id"},
    {"authentication", "jwt-claim-project-id", &Options::jwt_claim_project_id, "",
     "The claim with the project's id"},
    {"authentication", "jwt-claim-hub-id", &Options::jwt_claim_hub_id, "",
     "The claim with the hub's id"},
    {"authentication", "jwt-claim-admin", &Options::jwt_claim_admin, "",
     "The claim (true or false) that makes an account an admin"},
    {"authentication", "jwt-claim-projects", &Options::jwt_claim_projects, "",
     "The claim with the ids of the projects an account collaborates on"},
    {"authentication", "token-cookie", &Options::token_cookies, "",
     "Names of cookies that may hold a token"},
    {"authentication", "auth-url", &Options::auth_url, "",
     "Address of a service that is asked who connects (http or https): see below"},
    {"authentication", "auth-ca", &Options::auth_ca, "",
     "PEM file with the authorities that may vouch for the service; none: the system's"},
    {"authentication", "auth-secret-file", &Options::auth_secret_file, "",
     "File whose first line is sent to the service as `Authorization: Bearer`"},
    {"authentication", "auth-timeout", &Options::auth_timeout_ms, "ms",
     "Time in which the service must answer", 10, one_hour_ms},
    {"authentication", "auth-cache", &Options::auth_cache_ms, "ms",
     "How long an answer of the service is remembered; 0: not at all", 0, one_day_ms},
    {"authentication", "anonymous-user", &Options::anonymous_user, "",
     "The user, as JSON, of a connection that brings no credentials, such as "
     "`{\"account_id\":\"guest\"}`; without it such connections are refused, if any authentication "
     "is configured"},

    {"origins", "origins", &Options::origins, "",
     "Pages that may connect besides those this broker serves: `https://app.example.com`, "
     "`*.example.com`, `null`, or `*` for all. Their cookies do not count"},
    {"origins", "origins-with-cookies", &Options::origins_with_cookies, "",
     "Pages that may connect and whose cookies count"},
    {"origins", "trust-forwarded", &Options::trust_forwarded, "",
     "A proxy before this broker sets `X-Forwarded-Host` and `X-Forwarded-Proto`: they say what "
     "its "
     "own pages are"},
};

}  // namespace

std::span<const OptionSection> option_sections() { return sections; }
std::span<const OptionRow> option_table() { return rows; }

}  // namespace conat::server
