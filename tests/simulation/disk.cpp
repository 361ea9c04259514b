#include "simulation/disk.hpp"

#include <algorithm>
#include <utility>

namespace conat::simulation {

Disk::OpenedStream* Disk::find(StreamId id) {
  const auto found = std::find_if(streams_.begin(), streams_.end(),
                                  [&](const OpenedStream& stream) { return stream.id == id; });
  return found == streams_.end() ? nullptr : &*found;
}

void Disk::open(TimeMs now, const persist_effect::OpenStream& effect) {
  streams_.emplace_back();
  OpenedStream& stream = streams_.back();
  stream.id = effect.stream;
  stream.path = effect.path;
  stream.ephemeral = effect.ephemeral;
  stream.due = later(now);
}

void Disk::submit(TimeMs now, persist_effect::Submit effect) {
  OpenedStream* stream = find(effect.stream);
  if (stream == nullptr) return;
  stream->queue.push_back(std::move(effect.request));
  if (!stream->due) stream->due = later(now);
}

void Disk::close(const persist_effect::CloseStream& effect) {
  OpenedStream* stream = find(effect.stream);
  if (stream != nullptr) stream->closing = true;
}

// The same path may be opened again before its former opening has finished.
bool Disk::must_wait(const OpenedStream& stream) const {
  for (const OpenedStream& other : streams_) {
    if (other.id == stream.id) return false;
    if (other.path == stream.path) return true;
  }
  return false;
}

void Disk::step(TimeMs now) {
  for (OpenedStream& stream : streams_) {
    if (!stream.due || *stream.due > now) continue;
    stream.due.reset();
    if (stream.stream) {
      run_group(now, stream);
    } else if (must_wait(stream)) {
      stream.due = now + 1;
    } else {
      open_now(now, stream);
    }
    if (stream.stream && !stream.queue.empty()) stream.due = later(now);
  }
  streams_.erase(std::remove_if(streams_.begin(), streams_.end(),
                                [](const OpenedStream& stream) {
                                  return stream.closing && stream.queue.empty();
                                }),
                 streams_.end());
}

void Disk::open_now(TimeMs now, OpenedStream& stream) {
  MemoryStore* store = nullptr;
  if (stream.ephemeral) {
    stream.own_store = std::make_unique<MemoryStore>();
    store = stream.own_store.get();
  } else {
    auto& file = files_[stream.path];
    if (!file) file = std::make_unique<MemoryStore>();
    store = file.get();
  }
  StorageResult result;
  result.stream = stream.id;
  result.opened = true;
  stream.store = std::make_unique<test::FaultyStore>(*store);
  auto opened = Stream::open(*stream.store, wall_clock(now), stream.ephemeral);
  if (opened.ok()) {
    stream.stream.emplace(std::move(*opened));
    result.needs_enforcement = stream.stream->needs_enforcement();
  } else {
    result.open_error = opened.error();
  }
  answer(now, std::move(result));
}

void Disk::run_group(TimeMs now, OpenedStream& stream) {
  std::vector<StorageRequest> requests(std::make_move_iterator(stream.queue.begin()),
                                       std::make_move_iterator(stream.queue.end()));
  stream.queue.clear();
  if (fails_until_ > now) stream.store->fail_after(static_cast<int>(random_.below(4)));
  std::size_t consumed = 0;
  StorageResult result =
      run_storage_group(*stream.stream, stream.id, wall_clock(now), requests, consumed);
  stream.store->disarm();
  for (std::size_t i = consumed; i < requests.size(); ++i) {
    stream.queue.push_back(std::move(requests[i]));
  }
  for (const StreamChange& change : result.changes) {
    if (change.deleted.empty()) {
      history_[stream.path].push_back(change.message);
    } else {
      deleted_[stream.path].insert(change.deleted.begin(), change.deleted.end());
    }
  }
  answer(now, std::move(result));
}

void Disk::answer(TimeMs now, StorageResult result) {
  const TimeMs after = results_.empty() ? now : results_.back().due;
  results_.push_back({std::max(after, later(now)), std::move(result)});
}

bool Disk::next_result(TimeMs now, StorageResult& result) {
  if (results_.empty() || results_.front().due > now) return false;
  result = std::move(results_.front().result);
  results_.pop_front();
  return true;
}

std::optional<TimeMs> Disk::deadline() const {
  std::optional<TimeMs> due;
  for (const OpenedStream& stream : streams_) due = earlier(due, stream.due);
  if (!results_.empty()) due = earlier(due, results_.front().due);
  return due;
}

void Disk::crash() {
  streams_.clear();
  results_.clear();
}

TimeMs Disk::later(TimeMs now) {
  return now + static_cast<TimeMs>(random_.below(static_cast<std::uint32_t>(max_delay_ms_) + 1));
}

}  // namespace conat::simulation
