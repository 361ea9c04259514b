// Which HTTP request is answered how: the page's files, health, metrics, and WebSocket handshakes.
//
//   {base}/conat, {base}/conat/   Engine.IO over WebSocket
//   {base}/healthz                200 while the process runs
//   {base}/readyz                 200 when everything is served, persistence included; else 503
//   {base}/metrics                Prometheus text
//   {base}/...                    static files
// Health and metrics answer without the base too.
//
// Thread safety: none, one for each shard.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "net/http_server.hpp"
#include "net/static_files.hpp"

namespace conat::server {

class Routes final : public net::HttpHandler {
 public:
  struct Hooks {
    std::function<bool()> ready;
    // False when there is no room for one more connection.
    std::function<bool()> may_open;
    // False for a web page that may not connect.
    std::function<bool(const net::HttpRequest&)> allows_origin;
    // False when the connection's address opens too many of them; then after how many seconds it
    // may try again.
    std::function<bool(net::HttpConnectionId)> within_rate;
    std::int64_t retry_after_s = 1;
    std::function<void(net::UpgradedStream, const net::HttpRequest&)> open;
    // Calls back on this shard's thread with the text.
    std::function<void(std::function<void(std::string)>)> metrics;
  };

  // `files` outlives this; `base` is "" or "/base".
  Routes(std::string base, const net::StaticFiles& files, Hooks hooks);
  // Before the first request.
  void set_server(net::HttpServer& server) { server_ = &server; }

  void on_request(net::HttpConnectionId id, const net::HttpRequest& request) override;

 private:
  void on_engine_request(net::HttpConnectionId id, const net::HttpRequest& request);
  bool answer_administration(net::HttpConnectionId id, std::string_view path);

  std::string base_;
  const net::StaticFiles& files_;
  Hooks hooks_;
  net::HttpServer* server_ = nullptr;
};

}  // namespace conat::server
