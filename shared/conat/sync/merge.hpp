// The built-in merges: what becomes of a key when both sides changed it.
//
// A merge gets the local value, the remote one and the last value that both sides had in common;
// a null pointer stands for "absent" (never set, or deleted). It is called by one client at a time
// for a key: the result is saved on top of `remote` (previousSeq), so that every client ends with
// the same value whatever a merge does; what each kind promises beyond that is said below.
//
// All are deterministic, and all but lww let through what one side alone changed: merge(v, p, p) =
// v and merge(p, v, p) = v. Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "conat/base/value.hpp"

namespace conat {

// How conflicts are decided. `custom` asks the owner of the store.
enum class MergeKind : std::uint8_t { none, lww, fields, counter, set, text, custom };

// "lww", "fields", "counter", "set", "text"; nullopt for every other name.
std::optional<MergeKind> merge_kind(std::string_view name);

struct MergeSides {
  const Value* local = nullptr;
  const Value* remote = nullptr;
  const Value* previous = nullptr;
};

// The merged value; nullopt: absent. `none` and `custom` give the local value.
std::optional<Value> merge_values(MergeKind kind, const MergeSides& sides);

// The last write wins: the local value.
std::optional<Value> merge_lww(const MergeSides& sides);

// Objects, field by field and recursively. A field that one side alone changed takes that side's
// value; changed by both it takes the local one; removed here and changed there it stays changed.
// Everything that is no object on both sides is one field. The order is the remote's, then what is
// local alone.
std::optional<Value> merge_fields(const MergeSides& sides);

// Numbers: previous + what each side added. Absent counts as 0, and a removal as taking away what
// there was; both removed: absent. No increment is lost or counted twice. Whole numbers are exact
// within 64 bits, beyond that and for fractions it is floating point. Where a value is no number
// the local one wins.
std::optional<Value> merge_counter(const MergeSides& sides);

// Arrays as sets (of deeply equal values): an element is in the result when one side added it, or
// when it was there before and neither side removed it. Independent of the order of merges except
// for the order of the elements: the remote's, then what is local alone. Duplicates collapse.
// Absent is the empty set; the result is absent when it is empty and one side is absent. What is no
// array: the local value wins.
std::optional<Value> merge_set(const MergeSides& sides);

// Texts, by the differences of each side to the previous one: a character stays when neither side
// deleted it, and everything that a side inserted is in the result, where it was inserted (at the
// same place the remote's first; the same insertion at the same place counts once). Cuts between
// code points only. Deleted here and changed there: the changed text. What is no text: the local
// value wins. The cost is bounded: very different long texts are compared by words, then by lines,
// then as a whole.
std::optional<Value> merge_text(const MergeSides& sides);

}  // namespace conat
