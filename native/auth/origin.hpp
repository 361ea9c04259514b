// Which pages may connect: the check of a browser's Origin header.
//
// A browser lets any page open a WebSocket to any server and sends the server's cookies along; only
// the server can refuse. A request without Origin is not a page's (programs have no cookies of
// others to abuse). Otherwise a page may connect when its origin is the server's own, as the Host
// header has it, or is listed. Cookies count only from the own origin and from those listed for
// cookies as well.
//
// Thread safety: immutable, from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "auth/request.hpp"
#include "conat/base/result.hpp"

namespace conat::auth {

struct OriginOptions {
  // Each of them one of
  //   https://app.example.com, http://localhost:5173   exactly this origin
  //   *.example.com, https://*.example.com:8443        every host below it, but not itself
  //   app.example.com                                  with http or https, on the usual port
  //   null                                             pages without an origin (files, sandboxes)
  //   *                                                every page (never with cookies)
  std::vector<std::string> allowed;
  // The same forms, without `*` and `null`; what is listed here is allowed as well.
  std::vector<std::string> with_cookies;
  // Behind a proxy that sets X-Forwarded-Host and X-Forwarded-Proto (and lets no client set them),
  // these say what the own origin is.
  bool trust_forwarded = false;
};

struct OriginVerdict {
  bool allowed = true;
  bool may_use_cookies = true;
};

class OriginPolicy {
 public:
  // The error's text names the entry that is wrong.
  static Result<OriginPolicy> make(const OriginOptions& options);
  // Own origin only.
  OriginPolicy() = default;

  OriginVerdict check(const Request& request) const;

 private:
  struct Origin {
    std::string scheme;  // in an entry empty: http or https
    std::string host;
    std::uint16_t port = 0;
  };
  struct Entry {
    Origin origin;
    bool below = false;   // every host below `origin.host`, which then begins with a dot
    std::string literal;  // of schemes without hosts and ports that we know: compared as a whole
  };

  static Result<Entry> parse_entry(std::string_view text);
  static bool parse_origin(std::string_view text, Origin& origin);
  static bool matches(const std::vector<Entry>& entries, const Origin& origin);
  bool is_own(const Request& request, const Origin& origin) const;

  std::vector<Entry> allowed_;
  std::vector<Entry> with_cookies_;
  bool any_ = false;
  bool null_ = false;
  bool trust_forwarded_ = false;
};

}  // namespace conat::auth
