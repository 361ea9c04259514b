// Request heads as they come on the port: however the bytes are cut, the same requests come out,
// what is held stays within its bound, and whatever is asked for gets a well-formed answer.
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "net/http_reader.hpp"
#include "net/websocket_handshake.hpp"

namespace {

using namespace conat;
using namespace conat::net;
using fuzz::require;
using Step = HttpReader::Step;

constexpr std::size_t kMaxHead = 2048;

void answer(const HttpRequest& request) {
  require(request.path.find('?') == std::string::npos, "the query is apart from the path");
  const auto path = percent_decode(request.path, false);
  require(!path || path->find('\0') == std::string::npos, "no zero byte in a path");
  (void)request.parameter("EIO");
  (void)request.header_has("connection", "upgrade");
  if (asks_for_websocket(request) && is_valid_handshake(request)) {
    const SharedBytes response = accept_response(request);
    const std::string_view head = as_text(response.view());
    require(head.substr(0, 12) == "HTTP/1.1 101", "a handshake is accepted with 101");
    require(head.find("\r\n\r\n") == head.size() - 4, "and with nothing behind its head");
  }
}

// The requests as text. (A head that is bad and not complete may be refused at once, or later.)
std::vector<std::string> read(std::string_view stream, std::size_t cut) {
  HttpReader reader(kMaxHead);
  std::vector<std::string> seen;
  std::string buffer;
  for (std::size_t start = 0; start < stream.size(); start += cut) {
    buffer += stream.substr(start, cut);
    while (true) {
      const Step step = reader.read(buffer);
      if (step == Step::need_more) break;
      if (step != Step::request) return seen;  // refused
      const HttpRequest& request = reader.request();
      answer(request);
      seen.push_back(request.method + " " + request.path + "?" + request.query + " " +
                     std::to_string(request.headers.size()));
      if (request.has_body) return seen;  // the connection ends here
    }
    require(buffer.size() <= kMaxHead + cut, "held bytes within the bound");
  }
  return seen;
}

}  // namespace

// The first byte says how the rest is cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view stream = as_text({data + 1, size - 1});
  require(read(stream, 1 + data[0]) == read(stream, 4096), "cutting changes nothing");
  return 0;
}
