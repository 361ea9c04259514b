// A set of patterns with wildcards that finds those matching a subject: a radix tree over tokens.
//
// A node's label is one or more tokens; chains without branches are one node, so the memory is a
// small constant plus the pattern's bytes, whatever its shape. Matching visits each node at most
// once and only those whose path matches a prefix of the subject.
//
// Invariants: every node but the root has a pattern of its own or at least two children; siblings
// differ in their first token. Thread safety: none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conat/subject/hash_index.hpp"

namespace conat {

class PatternTrie {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  explicit PatternTrie(std::uint64_t hash_seed);

  // Adds a valid pattern that is not in the set, with a value other than kNone. Returns the node
  // that holds it; the node's number stays the same until it is removed.
  std::uint32_t insert(std::string_view pattern, std::uint32_t value);
  // Removes the pattern that insert() put at this node.
  void remove(std::uint32_t node);
  // Appends the values of all patterns that match a valid subject.
  void match(std::string_view subject, std::vector<std::uint32_t>& values);

  std::size_t node_count() const { return nodes_.size() - free_.size(); }

 private:
  struct Node {
    std::string label;  // tokens joined by dots
    std::uint32_t value = kNone;
    std::uint32_t parent = kNone;
    std::uint32_t first_child = kNone;
    std::uint32_t next_sibling = kNone;
    std::uint32_t previous_sibling = kNone;
    std::uint32_t star_child = kNone;  // whose label begins with the token '*'
    std::uint32_t rest_child = kNone;  // whose label is the token '>'
    std::uint32_t literal_children = 0;
  };
  // A node whose label is to be compared with `rest`, what is left of the subject.
  struct Visit {
    std::uint32_t node;
    std::string_view rest;
  };

  static std::string_view first_token(std::string_view label);
  std::uint32_t key_hash(std::uint32_t parent, std::string_view token) const;
  std::uint32_t find_child(std::uint32_t parent, std::string_view token) const;
  std::uint32_t find_literal_child(std::uint32_t parent, std::string_view token) const;
  std::uint32_t new_node(std::string_view label);
  void link(std::uint32_t parent, std::uint32_t child);
  void unlink(std::uint32_t child);
  std::uint32_t split(std::uint32_t node, std::size_t label_bytes);
  void merge_with_only_child(std::uint32_t node);
  void release(std::uint32_t node);

  std::uint64_t hash_seed_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> free_;
  HashIndex literal_index_;
  std::vector<Visit> visits_;  // match()'s stack, kept for its memory
};

}  // namespace conat
