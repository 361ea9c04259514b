#include "conat/broker/forward_block.hpp"

#include <cstring>

namespace conat::peer {
namespace {

// An entry: head, groups, sizes of the attachments, then, unless it is shared, the body: subject,
// message id, elements, attachments. Entries begin at multiples of 8.
struct Head {
  Sender sender;
  std::uint64_t sequence;
  std::uint64_t elements;  // bytes
  std::uint32_t subject;   // bytes
  std::uint32_t id;        // bytes
  std::uint32_t element_count;
  std::uint32_t groups;
  std::uint32_t attachments;
  PacketEncoding encoding;
  bool done;
  bool shared;
};
using AttachmentSize = std::uint64_t;

constexpr std::size_t kAlignment = 8;
constexpr std::size_t kFirstBytes = 512;

std::size_t body_bytes(const PublishView& publish) {
  const Tail& tail = publish.tail;
  std::size_t bytes = publish.subject.size() + tail.head.id.size() + tail.elements.size();
  for (const ByteView attachment : tail.attachments) bytes += attachment.size();
  return bytes;
}

std::uint8_t* put(std::uint8_t* place, const void* data, std::size_t size) {
  if (size > 0) std::memcpy(place, data, size);
  return place + size;
}

std::uint8_t* put_body(std::uint8_t* place, const PublishView& publish) {
  const Tail& tail = publish.tail;
  place = put(place, publish.subject.data(), publish.subject.size());
  place = put(place, tail.head.id.data(), tail.head.id.size());
  place = put(place, tail.elements.data(), tail.elements.size());
  for (const ByteView attachment : tail.attachments) {
    place = put(place, attachment.data(), attachment.size());
  }
  return place;
}

}  // namespace

void ForwardBlock::add(const ForwardedPublish& forwarded, SharedBody& body) {
  const PublishView& publish = forwarded.publish;
  const Tail& tail = publish.tail;
  const std::size_t bytes = body_bytes(publish);
  Head head{};
  head.sender = forwarded.sender;
  head.sequence = tail.head.sequence;
  head.elements = tail.elements.size();
  head.subject = static_cast<std::uint32_t>(publish.subject.size());
  head.id = static_cast<std::uint32_t>(tail.head.id.size());
  head.element_count = tail.count;
  head.groups = static_cast<std::uint32_t>(forwarded.groups.size());
  head.attachments = static_cast<std::uint32_t>(tail.attachments.size());
  head.encoding = tail.encoding;
  head.done = tail.head.done;
  head.shared = bytes >= shared_from_bytes;
  const std::size_t size = sizeof(Head) + forwarded.groups.size_bytes() +
                           tail.attachments.size() * sizeof(AttachmentSize) +
                           (head.shared ? 0 : bytes);
  const std::size_t begin = packed_.size();
  if (begin == 0) packed_.reserve(kFirstBytes);
  packed_.resize(begin + (size + kAlignment - 1) / kAlignment * kAlignment);
  std::uint8_t* place = put(packed_.data() + begin, &head, sizeof head);
  place = put(place, forwarded.groups.data(), forwarded.groups.size_bytes());
  for (const ByteView attachment : tail.attachments) {
    const AttachmentSize attachment_size = attachment.size();
    place = put(place, &attachment_size, sizeof attachment_size);
  }
  if (!head.shared) {
    put_body(place, publish);
  } else {
    if (body == nullptr) {
      auto copy = std::make_shared<Bytes>(bytes);
      put_body(copy->data(), publish);
      body = std::move(copy);
    }
    bodies_.push_back(body);
  }
  ++count_;
}

std::size_t ForwardBlock::memory_bytes() const {
  std::size_t bytes = packed_.capacity();
  for (const SharedBody& body : bodies_) bytes += body->size();
  return bytes;
}

const ForwardedPublish* ForwardReader::next() {
  if (place_ == block_.packed_.size()) return nullptr;
  const std::uint8_t* place = block_.packed_.data() + place_;
  Head head;
  std::memcpy(&head, place, sizeof head);
  place += sizeof head;
  // Aligned: entries begin at multiples of 8, and so end the head and the groups.
  static_assert(sizeof(Head) % alignof(Group) == 0);
  forwarded_.groups = {reinterpret_cast<const Group*>(place), head.groups};
  place += forwarded_.groups.size_bytes();
  const std::uint8_t* sizes = place;
  place += head.attachments * sizeof(AttachmentSize);
  const std::uint8_t* data = head.shared ? block_.bodies_[bodies_++]->data() : place;
  const auto take = [&data](std::uint64_t size) {
    const ByteView view(data, static_cast<std::size_t>(size));
    data += size;
    return view;
  };
  forwarded_.publish.subject = as_text(take(head.subject));
  Tail& tail = forwarded_.publish.tail;
  tail.head = {as_text(take(head.id)), head.sequence, head.done};
  tail.elements = take(head.elements);
  attachments_.clear();
  for (std::uint32_t i = 0; i < head.attachments; ++i) {
    AttachmentSize size;
    std::memcpy(&size, sizes + i * sizeof size, sizeof size);
    attachments_.push_back(take(size));
  }
  tail.attachments = attachments_;
  tail.encoding = head.encoding;
  tail.count = head.element_count;
  forwarded_.sender = head.sender;
  const std::uint8_t* end = head.shared ? place : data;
  const auto offset = static_cast<std::size_t>(end - block_.packed_.data());
  place_ = (offset + kAlignment - 1) / kAlignment * kAlignment;
  return &forwarded_;
}

}  // namespace conat::peer
