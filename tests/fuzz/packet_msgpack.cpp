// One message in the MessagePack encoding.
#include "packet_checks.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace conat;
  PacketReader reader;
  reader.set_encoding(PacketEncoding::msgpack);
  const Bytes message(data, data + size);
  if (reader.read(true, message) == PacketReader::Step::packet) fuzz::check_packet(reader.packet());
  return 0;
}
