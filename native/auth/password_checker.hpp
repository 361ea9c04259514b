// Checks passwords on a thread of its own: one takes about 0.1 s, which no event loop has.
//
// What waits is bounded: past it, sign-ins are told to try again. A password that was right is
// remembered for a minute (as a keyed hash, with a key that only this process knows), so that
// clients that come back after a restart of their network do not queue up.
//
// Thread safety: check() from any thread. Destroying it drops what waits, without an answer.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "auth/expiring_cache.hpp"
#include "auth/password_hash.hpp"

namespace conat::auth {

enum class PasswordVerdict : std::uint8_t { right, wrong, busy };

class PasswordChecker {
 public:
  struct Options {
    unsigned threads = 1;
    std::size_t max_waiting = 100;  // about 10 s of work for one thread
    std::int64_t remember_ms = 60'000;
    std::size_t max_remembered = 10'000;
  };
  using Done = std::function<void(PasswordVerdict)>;

  PasswordChecker();
  explicit PasswordChecker(Options options);
  ~PasswordChecker();
  PasswordChecker(const PasswordChecker&) = delete;
  PasswordChecker& operator=(const PasswordChecker&) = delete;

  // `done` is called once: at once, on this thread, when the answer is known or too many wait; else
  // later, on a thread of the checker. It must not block there.
  void check(std::string password, PasswordHash hash, Done done);

  // Checks that took their time.
  std::uint64_t worked() const { return worked_.load(std::memory_order_relaxed); }

 private:
  struct Job {
    std::string password;
    PasswordHash hash;
    Digest key;
    Done done;
  };

  static TimeMs now();
  void work();

  Options options_;
  Bytes cache_key_;
  std::mutex mutex_;
  std::condition_variable wake_;
  ExpiringCache<bool> right_;
  std::deque<Job> jobs_;
  bool ending_ = false;
  std::atomic<std::uint64_t> worked_{0};
  std::vector<std::thread> threads_;
};

}  // namespace conat::auth
