// Any number of replicas, any order, any partition: all converge, and each merge keeps its promise.

#include <catch2/catch.hpp>

#include "property/sync/store_lab.hpp"

namespace conat {
namespace {

constexpr std::uint64_t kSeeds = 150;

StoreLab::Options lab_options(MergeKind merge, std::uint64_t seed) {
  StoreLab::Options options;
  options.merge = merge;
  options.seed = seed;
  options.replicas = 2 + seed % 4;
  return options;
}

std::string key_of(StoreLab& lab) {
  return std::string(1, static_cast<char>('a' + lab.random().below(3)));
}

// Runs `edit` among random steps, then settles and compares.
template <class Edit>
void explore(StoreLab& lab, Edit&& edit) {
  const std::uint32_t trouble = lab.random().below(3) * 5;
  for (std::size_t i = 0; i < lab.count(); ++i) lab.connect(i);
  for (int step = 0; step < 400; ++step) {
    if (lab.random().below(10) == 0) {
      edit(lab.random().below(static_cast<std::uint32_t>(lab.count())));
    }
    lab.random_step(trouble);
  }
  lab.settle();
  lab.check_converged();
}

TEST_CASE("without a merge all replicas end with the same values") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    StoreLab lab(lab_options(seed % 2 == 0 ? MergeKind::none : MergeKind::lww, seed));
    int counter = 0;
    explore(lab, [&](std::size_t replica) {
      const std::string key = key_of(lab);
      if (lab.random().below(4) == 0) {
        lab.erase(replica, key);
      } else {
        lab.set(replica, key, Value(++counter));
      }
      if (lab.random().below(20) == 0) lab.discard(key);
    });
  }
}

TEST_CASE("counters are the exact sum of all increments") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    StoreLab lab(lab_options(MergeKind::counter, seed));
    std::map<std::string, std::int64_t> sums;
    explore(lab, [&](std::size_t replica) {
      const std::string key = key_of(lab);
      const auto delta = static_cast<std::int64_t>(lab.random().below(5)) - 1;
      const auto before = lab.value(replica, key);
      lab.set(replica, key, Value((before ? before->integer_or(0) : 0) + delta));
      sums[key] += delta;
    });
    for (const auto& entry : sums) {
      INFO("seed " << seed << ", key " << entry.first);
      REQUIRE(lab.value(0, entry.first));
      CHECK(lab.value(0, entry.first)->integer_or(-999) == entry.second);
    }
  }
}

TEST_CASE("sets keep every addition and apply every removal") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    StoreLab lab(lab_options(MergeKind::set, seed));
    int next = 0;
    std::map<std::string, std::vector<int>> kept;
    explore(lab, [&](std::size_t replica) {
      const std::string key = key_of(lab);
      const auto before = lab.value(replica, key);
      Value::Array items = before ? *before->if_array() : Value::Array{};
      if (!items.empty() && lab.random().below(4) == 0) {
        const std::size_t which = lab.random().below(static_cast<std::uint32_t>(items.size()));
        auto& list = kept[key];
        const auto removed = static_cast<int>(items[which].integer_or(0));
        list.erase(std::remove(list.begin(), list.end(), removed), list.end());
        items.erase(items.begin() + static_cast<std::ptrdiff_t>(which));
      } else {
        items.push_back(Value(++next));
        kept[key].push_back(next);
      }
      lab.set(replica, key, Value(items));
    });
    for (auto& entry : kept) {
      const auto found = lab.value(0, entry.first);
      REQUIRE(found);
      std::vector<int> elements;
      for (const Value& item : *found->if_array()) {
        elements.push_back(static_cast<int>(item.integer_or(0)));
      }
      std::sort(elements.begin(), elements.end());
      INFO("seed " << seed << ", key " << entry.first);
      CHECK(elements == entry.second);
    }
  }
}

TEST_CASE("fields keep what each replica wrote into its own") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    StoreLab lab(lab_options(MergeKind::fields, seed));
    std::map<std::string, Value> expected;
    int counter = 0;
    explore(lab, [&](std::size_t replica) {
      const std::string key = key_of(lab);
      const auto before = lab.value(replica, key);
      Value object = before ? *before : Value(Value::Map{});
      Value inner = object.find("inner") ? *object.find("inner") : Value(Value::Map{});
      const std::string field = "r" + std::to_string(replica);
      object.set(field, Value(++counter));
      inner.set(field, Value(-counter));
      object.set("inner", inner);
      lab.set(replica, key, object);
      if (expected.find(key) == expected.end()) expected[key] = Value(Value::Map{});
      expected[key].set(field, Value(counter));
    });
    for (const auto& entry : expected) {
      const auto found = lab.value(0, entry.first);
      REQUIRE(found);
      for (const auto& field : *entry.second.if_map()) {
        INFO("seed " << seed << ", key " << entry.first << ", field " << field.first);
        REQUIRE(found->find(field.first));
        CHECK(*found->find(field.first) == field.second);
        CHECK(found->find("inner")->find(field.first)->integer_or(0) ==
              -field.second.integer_or(0));
      }
    }
  }
}

TEST_CASE("texts keep every insertion exactly once") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    StoreLab lab(lab_options(MergeKind::text, seed));
    std::map<std::string, std::vector<std::string>> words;
    int counter = 0;
    explore(lab, [&](std::size_t replica) {
      const std::string key = key_of(lab);
      const auto before = lab.value(replica, key);
      std::string text(before ? before->text_or({}) : std::string_view{});
      const std::string word = "<" + std::to_string(++counter) + ">";
      // At a place between words, so that no word is cut.
      std::vector<std::size_t> places{0};
      for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '>') places.push_back(i + 1);
      }
      text.insert(places[lab.random().below(static_cast<std::uint32_t>(places.size()))], word);
      lab.set(replica, key, Value(text));
      words[key].push_back(word);
    });
    for (const auto& entry : words) {
      const auto found = lab.value(0, entry.first);
      REQUIRE(found);
      const std::string text(found->text_or({}));
      std::size_t length = 0;
      for (const std::string& word : entry.second) {
        INFO("seed " << seed << ", key " << entry.first << ": " << text);
        CHECK(text.find(word) != std::string::npos);
        length += word.size();
      }
      CHECK(text.size() == length);
    }
  }
}

TEST_CASE("a merge function of the user decides, and all converge") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    StoreLab::Options options = lab_options(MergeKind::custom, seed);
    // The larger number wins; sometimes it has no opinion.
    options.custom = [](const dkv_effect::MergeNeeded& asked) -> std::optional<Value> {
      const auto number = [](const std::optional<EncodedValue>& value) {
        return value ? decode_payload(value->encoding, value->raw).value().integer_or(0) : 0;
      };
      const std::int64_t larger = std::max(number(asked.local), number(asked.remote));
      if (larger % 7 == 0) return std::nullopt;
      return Value(larger);
    };
    StoreLab lab(std::move(options));
    int counter = 0;
    explore(lab, [&](std::size_t replica) {
      const std::string key = key_of(lab);
      if (lab.random().below(6) == 0) {
        lab.erase(replica, key);
      } else {
        lab.set(replica, key, Value(++counter));
      }
    });
  }
}

}  // namespace
}  // namespace conat
