#include "auth/password_checker.hpp"

#include <chrono>

namespace conat::auth {

PasswordChecker::PasswordChecker() : PasswordChecker(Options()) {}

PasswordChecker::PasswordChecker(Options options)
    : options_(options),
      cache_key_(random_bytes(32)),
      right_(options.max_remembered, options.remember_ms) {
  for (unsigned i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { work(); });
}

PasswordChecker::~PasswordChecker() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  for (Job& job : jobs_) wipe(job.password);
}

TimeMs PasswordChecker::now() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

void PasswordChecker::check(std::string password, PasswordHash hash, Done done) {
  // The hash holds a salt: the same password of another user, or a changed one, is another key.
  const Digest key = hmac_sha256(cache_key_, as_bytes(hash.text() + password));
  PasswordVerdict verdict = PasswordVerdict::busy;
  {
    std::unique_lock lock(mutex_);
    if (right_.find(now(), key) != nullptr) {
      verdict = PasswordVerdict::right;
    } else if (jobs_.size() < options_.max_waiting) {
      jobs_.push_back({std::move(password), std::move(hash), key, std::move(done)});
      lock.unlock();
      wake_.notify_one();
      return;
    }
  }
  wipe(password);
  done(verdict);
}

void PasswordChecker::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (ending_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    // Others with the same password may have waited before it.
    bool right = right_.find(now(), job.key) != nullptr;
    lock.unlock();
    if (!right) {
      right = job.hash.matches(job.password);
      worked_.fetch_add(1, std::memory_order_relaxed);
    }
    wipe(job.password);
    if (right) {
      lock.lock();
      right_.put(now(), job.key, true);
      lock.unlock();
    }
    job.done(right ? PasswordVerdict::right : PasswordVerdict::wrong);
    job.done = nullptr;
    lock.lock();
  }
}

}  // namespace conat::auth
