// Messages in the text encoding: each a byte (odd: binary) and a piece. The first byte says
// whether the encoding is known.
#include "conat/wire/utf8.hpp"
#include "packet_checks.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace conat;
  fuzz::Input input(data, size);
  PacketReader reader;
  if ((input.byte() & 1) != 0) reader.set_encoding(PacketEncoding::text);
  while (!input.empty()) {
    const bool binary = (input.byte() & 1) != 0;
    // In memory of its own that is gone with the next message.
    const Bytes message = to_bytes(input.piece());
    if (!binary && !is_utf8(message)) break;
    const PacketReader::Step step = reader.read(binary, message);
    if (step == PacketReader::Step::error) break;
    if (step == PacketReader::Step::packet) fuzz::check_packet(reader.packet());
    reader.release_buffers();
  }
  return 0;
}
