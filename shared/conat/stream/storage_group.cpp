#include "conat/stream/storage_group.hpp"

#include <utility>

namespace conat {
namespace {

constexpr std::size_t kCommandOverhead = 256;

std::size_t bytes_of(const SetRequest& request) {
  return kCommandOverhead + request.raw.size() + request.headers_json.size() +
         request.message_id.size() + (request.key ? request.key->size() : 0);
}

// Roughly; the nesting of decoded values is bounded.
std::size_t bytes_of(const Value& value) {
  std::size_t bytes = sizeof(Value);
  if (const std::string* text = value.if_text()) bytes += text->size();
  if (const Bytes* binary = value.if_binary()) bytes += binary->size();
  if (const Value::Array* items = value.if_array()) {
    for (const Value& item : *items) bytes += bytes_of(item);
  }
  if (const Value::Map* entries = value.if_map()) {
    for (const auto& entry : *entries) bytes += entry.first.size() + bytes_of(entry.second);
  }
  return bytes;
}

bool is_read(const StorageCommand& command) {
  return std::holds_alternative<StorageGet>(command) ||
         std::holds_alternative<StorageGetAll>(command) ||
         std::holds_alternative<StorageKeys>(command) ||
         std::holds_alternative<StorageInventory>(command);
}

template <class T>
Result<StorageAnswer> answer_of(Result<T>&& result) {
  if (!result.ok()) return std::move(result.error());
  return StorageAnswer(std::move(*result));
}

Result<StorageAnswer> answer_of(Status&& status) {
  if (!status.ok()) return std::move(status.error());
  return StorageAnswer(Nothing{});
}

std::size_t answer_bytes(const StorageAnswer& answer) {
  if (const auto* message = std::get_if<std::optional<StoredMessage>>(&answer)) {
    return *message ? (*message)->raw.size() + (*message)->headers_json.size() : 0;
  }
  std::size_t bytes = 0;
  if (const auto* range = std::get_if<StorageRange>(&answer)) {
    for (const StoredMessage& message : range->messages) {
      bytes += kCommandOverhead + message.raw.size() + message.headers_json.size();
    }
  } else if (const auto* keys = std::get_if<std::vector<std::string>>(&answer)) {
    for (const std::string& key : *keys) bytes += sizeof(std::string) + key.size();
  } else if (const auto* seqs = std::get_if<std::vector<StreamSequence>>(&answer)) {
    bytes = seqs->size() * sizeof(StreamSequence);
  }
  return bytes;
}

// One command after the other on a stream; opens the group at the first that writes.
class GroupRun {
 public:
  GroupRun(Stream& stream, UnixMs now) : stream_(stream), now_(now) {}

  bool writing() const { return writing_; }

  Result<StorageAnswer> run(StorageCommand& command) {
    if (is_read(command)) return read(command);
    if (const auto* configure = std::get_if<StorageConfigure>(&command)) {
      // Asking for the configuration is frequent and needs no transaction.
      const Value::Map* fields = configure->partial.if_map();
      const bool asks_only = configure->partial.is_null() || (fields != nullptr && fields->empty());
      if (asks_only && !stream_.enforcement_due(now_)) return StorageAnswer(stream_.config_value());
    }
    if (std::holds_alternative<StorageEnforce>(command) && !stream_.enforcement_due(now_)) {
      return StorageAnswer(Nothing{});
    }
    if (!writing_) {
      writing_ = true;
      begun_ = stream_.begin_group();
    }
    if (!begun_.ok()) return begun_.error();
    return write(command);
  }

  Result<StorageAnswer> read(const StorageCommand& command) {
    if (const auto* get = std::get_if<StorageGet>(&command)) {
      if (get->key) return answer_of(stream_.get_key(*get->key));
      return answer_of(stream_.get(get->seq.value_or(0)));
    }
    if (const auto* get_all = std::get_if<StorageGetAll>(&command)) {
      StorageRange range;
      auto next = stream_.get_range(get_all->from, get_all->to, get_all->max_bytes, range.messages);
      if (!next.ok()) return std::move(next.error());
      range.next = *next;
      return StorageAnswer(std::move(range));
    }
    if (std::holds_alternative<StorageKeys>(command)) return answer_of(stream_.keys());
    auto inventory = stream_.inventory();
    if (!inventory.ok()) return std::move(inventory.error());
    return StorageAnswer(StorageInventoryResult{*inventory, stream_.limits_value()});
  }

  Status finish() {
    if (!writing_) return Nothing{};
    return begun_.ok() ? stream_.commit_group() : begun_;
  }

 private:
  Result<StorageAnswer> write(StorageCommand& command) {
    if (auto* set = std::get_if<SetRequest>(&command)) {
      return answer_of(stream_.set(now_, std::move(*set)));
    }
    if (auto* many = std::get_if<StorageSetMany>(&command)) {
      std::vector<Result<SetResult>> results;
      results.reserve(many->items.size());
      for (SetRequest& item : many->items) results.push_back(stream_.set(now_, std::move(item)));
      return StorageAnswer(std::move(results));
    }
    if (const auto* erase = std::get_if<DeleteRequest>(&command)) {
      return answer_of(stream_.erase(*erase));
    }
    if (const auto* configure = std::get_if<StorageConfigure>(&command)) {
      return answer_of(stream_.configure(now_, configure->partial));
    }
    return answer_of(stream_.enforce(now_));
  }

  Stream& stream_;
  UnixMs now_;
  bool writing_ = false;
  Status begun_ = Nothing{};
};

}  // namespace

std::size_t storage_command_bytes(const StorageCommand& command) {
  if (const auto* set = std::get_if<SetRequest>(&command)) return bytes_of(*set);
  std::size_t bytes = kCommandOverhead;
  if (const auto* many = std::get_if<StorageSetMany>(&command)) {
    for (const SetRequest& item : many->items) bytes += bytes_of(item);
  } else if (const auto* erase = std::get_if<DeleteRequest>(&command)) {
    if (erase->seqs) bytes += erase->seqs->size() * sizeof(StreamSequence);
  } else if (const auto* get = std::get_if<StorageGet>(&command)) {
    if (get->key) bytes += get->key->size();
  } else if (const auto* configure = std::get_if<StorageConfigure>(&command)) {
    bytes += bytes_of(configure->partial);
  }
  return bytes;
}

StorageResult run_storage_group(Stream& stream, StreamId id, UnixMs now,
                                std::span<StorageRequest> requests, std::size_t& consumed,
                                const StorageGroupLimits& limits) {
  StorageResult result;
  result.stream = id;
  GroupRun run(stream, now);
  std::size_t first_write = requests.size();
  std::size_t bytes = 0;
  std::size_t read_bytes = 0;
  consumed = 0;
  while (consumed < requests.size() && consumed < limits.max_requests && bytes < limits.max_bytes &&
         read_bytes < limits.max_answer_bytes) {
    StorageRequest& request = requests[consumed];
    bytes += storage_command_bytes(request.command);
    result.items.push_back({request.token, run.run(request.command)});
    if (run.writing() && first_write == requests.size()) first_write = consumed;
    const Result<StorageAnswer>& answer = result.items.back().answer;
    if (answer.ok()) read_bytes += answer_bytes(*answer);
    ++consumed;
  }
  if (Status committed = run.finish(); !committed.ok()) {
    for (std::size_t i = first_write; i < consumed; ++i) {
      result.items[i].answer = is_read(requests[i].command)
                                   ? run.read(requests[i].command)
                                   : Result<StorageAnswer>(committed.error());
    }
  }
  result.changes = stream.take_changes();
  result.needs_enforcement = stream.needs_enforcement();
  return result;
}

}  // namespace conat
