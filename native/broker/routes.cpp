#include "broker/routes.hpp"

#include "broker/engine_request.hpp"

namespace conat::server {
namespace {

net::HttpResponse not_cached(net::HttpResponse response) {
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

}  // namespace

Routes::Routes(std::string base, const net::StaticFiles& files, Hooks hooks)
    : base_(std::move(base)), files_(files), hooks_(std::move(hooks)) {}

void Routes::on_request(net::HttpConnectionId id, const net::HttpRequest& request) {
  const std::string_view path = request.path;
  const bool below_base = path.substr(0, base_.size()) == base_ &&
                          (path.size() == base_.size() || path[base_.size()] == '/');
  const std::string_view inner = below_base ? path.substr(base_.size()) : path;
  if (below_base && (inner == "/conat" || inner == "/conat/")) {
    return on_engine_request(id, request);
  }
  if (request.method != "GET" && request.method != "HEAD") {
    net::HttpResponse response = net::HttpResponse::text(405, "method not allowed\n");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return server_->respond(id, response);
  }
  if (answer_administration(id, inner)) return;
  if (below_base && inner.empty()) {  // relative addresses in the page need the slash
    net::HttpResponse response = net::HttpResponse::text(308, {});
    response.headers.emplace_back("Location", base_ + "/");
    return server_->respond(id, response);
  }
  const auto name = net::percent_decode(inner, false);
  if (!below_base || !name)
    return server_->respond(id, net::HttpResponse::text(404, "not found\n"));
  server_->respond(id, files_.get(request, *name));
}

bool Routes::answer_administration(net::HttpConnectionId id, std::string_view path) {
  if (path == "/healthz") {
    server_->respond(id, not_cached(net::HttpResponse::text(200, "ok")));
  } else if (path == "/readyz") {
    const bool ready = hooks_.ready();
    server_->respond(
        id, not_cached(net::HttpResponse::text(ready ? 200 : 503, ready ? "ok" : "starting")));
  } else if (path == "/metrics") {
    hooks_.metrics([this, id](std::string text) {
      net::HttpResponse response = net::HttpResponse::text(200, std::move(text));
      response.content_type = "text/plain; version=0.0.4; charset=utf-8";
      server_->respond(id, not_cached(std::move(response)));
    });
  } else {
    return false;
  }
  return true;
}

void Routes::on_engine_request(net::HttpConnectionId id, const net::HttpRequest& request) {
  if (const auto refusal = refuse_engine_request(request)) {
    return server_->respond(id, not_cached(*refusal));
  }
  if (!hooks_.allows_origin(request)) {
    return server_->respond(
        id, not_cached(net::HttpResponse::json(403, R"({"code":4,"message":"Forbidden"})")));
  }
  if (!hooks_.within_rate(id)) {
    auto response = net::HttpResponse::text(429, "too many connections from this address\n");
    response.headers.emplace_back("Retry-After", std::to_string(hooks_.retry_after_s));
    return server_->respond(id, not_cached(std::move(response)));
  }
  if (!hooks_.may_open()) {
    return server_->respond(id, net::HttpResponse::text(503, "too many connections\n"));
  }
  const net::HttpRequest kept = request;  // is gone with the connection that it came on
  net::UpgradedStream upgraded = server_->upgrade(id, request);
  if (upgraded.stream) hooks_.open(std::move(upgraded), kept);
}

}  // namespace conat::server
