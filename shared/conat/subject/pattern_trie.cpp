#include "conat/subject/pattern_trie.hpp"

#include "conat/subject/subject.hpp"

namespace conat {
namespace {

constexpr std::uint32_t kRoot = 0;

// The bytes of `label` that consist of whole tokens which `text` begins with, too.
std::size_t common_tokens(std::string_view label, std::string_view text) {
  TokenReader left(label);
  TokenReader right(text);
  std::size_t common = 0;
  while (left.next() && right.next() && left.token() == right.token()) {
    common = label.size() - left.rest().size();
    if (!left.at_end()) --common;  // the dot
  }
  return common;
}

}  // namespace

PatternTrie::PatternTrie(std::uint64_t hash_seed) : hash_seed_(hash_seed) { nodes_.emplace_back(); }

std::string_view PatternTrie::first_token(std::string_view label) {
  return label.substr(0, label.find('.'));
}

std::uint32_t PatternTrie::key_hash(std::uint32_t parent, std::string_view token) const {
  return static_cast<std::uint32_t>(
      hash_text(token, hash_seed_ + parent * std::uint64_t{0x9e3779b97f4a7c15}));
}

std::uint32_t PatternTrie::find_literal_child(std::uint32_t parent, std::string_view token) const {
  return literal_index_.find(key_hash(parent, token), [&](std::uint32_t child) {
    return nodes_[child].parent == parent && first_token(nodes_[child].label) == token;
  });
}

std::uint32_t PatternTrie::find_child(std::uint32_t parent, std::string_view token) const {
  if (token == "*") return nodes_[parent].star_child;
  if (token == ">") return nodes_[parent].rest_child;
  return find_literal_child(parent, token);
}

std::uint32_t PatternTrie::new_node(std::string_view label) {
  std::uint32_t index;
  if (free_.empty()) {
    index = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  nodes_[index].label = label;
  return index;
}

void PatternTrie::link(std::uint32_t parent, std::uint32_t child) {
  Node& node = nodes_[child];
  Node& above = nodes_[parent];
  node.parent = parent;
  node.previous_sibling = kNone;
  node.next_sibling = above.first_child;
  if (above.first_child != kNone) nodes_[above.first_child].previous_sibling = child;
  above.first_child = child;
  const std::string_view token = first_token(node.label);
  if (token == "*") {
    above.star_child = child;
  } else if (token == ">") {
    above.rest_child = child;
  } else {
    literal_index_.insert(key_hash(parent, token), child);
    ++above.literal_children;
  }
}

void PatternTrie::unlink(std::uint32_t child) {
  const Node& node = nodes_[child];
  Node& above = nodes_[node.parent];
  if (node.previous_sibling == kNone) {
    above.first_child = node.next_sibling;
  } else {
    nodes_[node.previous_sibling].next_sibling = node.next_sibling;
  }
  if (node.next_sibling != kNone) {
    nodes_[node.next_sibling].previous_sibling = node.previous_sibling;
  }
  const std::string_view token = first_token(node.label);
  if (token == "*") {
    above.star_child = kNone;
  } else if (token == ">") {
    above.rest_child = kNone;
  } else {
    literal_index_.erase(key_hash(node.parent, token), child);
    --above.literal_children;
  }
}

// Puts a new node with the first `label_bytes` of the node's label between it and its parent.
std::uint32_t PatternTrie::split(std::uint32_t node, std::size_t label_bytes) {
  const std::uint32_t parent = nodes_[node].parent;
  unlink(node);
  const std::string label = nodes_[node].label;
  const std::uint32_t middle = new_node(std::string_view(label).substr(0, label_bytes));
  nodes_[node].label = label.substr(label_bytes + 1);
  link(parent, middle);
  link(middle, node);
  return middle;
}

std::uint32_t PatternTrie::insert(std::string_view pattern, std::uint32_t value) {
  std::uint32_t node = kRoot;
  std::string_view rest = pattern;
  while (!rest.empty()) {
    const std::uint32_t child = find_child(node, first_token(rest));
    if (child == kNone) {
      const std::uint32_t leaf = new_node(rest);
      link(node, leaf);
      node = leaf;
      break;
    }
    const std::size_t common = common_tokens(nodes_[child].label, rest);
    node = common == nodes_[child].label.size() ? child : split(child, common);
    rest = common == rest.size() ? std::string_view{} : rest.substr(common + 1);
  }
  nodes_[node].value = value;
  return node;
}

void PatternTrie::remove(std::uint32_t node) {
  nodes_[node].value = kNone;
  if (nodes_[node].first_child == kNone) {
    const std::uint32_t parent = nodes_[node].parent;
    unlink(node);
    release(node);
    node = parent;
  }
  merge_with_only_child(node);
}

// Restores the invariant for a node that may have lost its pattern or a child: the node takes the
// place of the child in the child's stead, so that the child's number stays the same.
void PatternTrie::merge_with_only_child(std::uint32_t node) {
  const std::uint32_t child = nodes_[node].first_child;
  if (node == kRoot || nodes_[node].value != kNone || child == kNone ||
      nodes_[child].next_sibling != kNone) {
    return;
  }
  const std::uint32_t parent = nodes_[node].parent;
  unlink(child);
  unlink(node);
  nodes_[child].label = nodes_[node].label + "." + nodes_[child].label;
  link(parent, child);
  release(node);
}

void PatternTrie::release(std::uint32_t node) {
  nodes_[node] = Node{};
  free_.push_back(node);
}

void PatternTrie::match(std::string_view subject, std::vector<std::uint32_t>& values) {
  visits_.clear();
  visits_.push_back({kRoot, subject});
  while (!visits_.empty()) {
    const Visit visit = visits_.back();
    visits_.pop_back();
    const Node& node = nodes_[visit.node];
    // Consume the label. `rest` is empty exactly when the subject is used up.
    std::string_view rest = visit.rest;
    TokenReader label(node.label);
    bool matched = true;
    while (matched && label.next()) {
      if (rest.empty()) {
        matched = false;
      } else if (label.token() == ">") {
        rest = {};
      } else {
        const std::size_t dot = rest.find('.');
        matched = label.token() == "*" || label.token() == rest.substr(0, dot);
        rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
      }
    }
    if (!matched) continue;
    if (rest.empty()) {
      if (node.value != kNone) values.push_back(node.value);
      continue;
    }
    if (node.rest_child != kNone) visits_.push_back({node.rest_child, rest});
    if (node.star_child != kNone) visits_.push_back({node.star_child, rest});
    if (node.literal_children > 0) {
      const std::uint32_t child = find_literal_child(visit.node, first_token(rest));
      if (child != kNone) visits_.push_back({child, rest});
    }
  }
}

}  // namespace conat
