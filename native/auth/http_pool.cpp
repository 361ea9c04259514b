// clang-format off
#include <utility>
// clang-format on

#include "auth/http_pool.hpp"

#include <boost/asio/io_context.hpp>

namespace conat::auth {

using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

HttpPool::HttpPool(boost::asio::io_context& context, std::unique_ptr<HttpConnector> connector,
                   Limits limits)
    : context_(context), connector_(std::move(connector)), limits_(limits), idle_timer_(context) {}

void HttpPool::post(std::string body, Done done) {
  if (closed_) return done({Reply::Kind::closed, {}, {}});
  const bool may_start = running_.size() < limits_.max_connections;
  if (!may_start && waiting_.size() >= limits_.max_waiting) {
    return done({Reply::Kind::busy, {}, {}});
  }
  auto job = std::make_shared<Job>(context_, std::move(body), std::move(done));
  job->timer.expires_after(milliseconds(limits_.timeout_ms));
  job->timer.async_wait([self = shared_from_this(), job](error_code error) {
    if (!error) self->on_timeout(job);
  });
  (may_start ? running_ : waiting_).push_back(job);
  if (may_start) start(job, false);
}

void HttpPool::start(const std::shared_ptr<Job>& job, bool fresh) {
  if (!fresh && !idle_.empty()) {
    job->connection = std::move(idle_.back().connection);
    idle_.pop_back();
  } else {
    job->connection = connector_->make();
  }
  job->connection->post(job->body, [self = shared_from_this(), job](HttpResult result) {
    self->on_result(job, std::move(result));
  });
}

void HttpPool::on_result(const std::shared_ptr<Job>& job, HttpResult result) {
  if (!job->done) return;
  // Asking who somebody is may be done twice.
  if (result.stale) return start(job, true);
  if (job->connection->is_open()) {
    idle_.push_back({Clock::now() + milliseconds(limits_.idle_ms), job->connection});
    while (idle_.size() + running_.size() > limits_.max_connections + 1) {
      idle_.front().connection->close();
      idle_.pop_front();
    }
    arm_idle_timer();
  }
  if (result.failure.empty()) {
    finish(job, {Reply::Kind::answer, {}, std::move(result.answer)});
  } else {
    finish(job, {Reply::Kind::failed, std::move(result.failure), {}});
  }
}

void HttpPool::on_timeout(const std::shared_ptr<Job>& job) {
  if (!job->done) return;
  if (job->connection) job->connection->close();
  finish(job, {Reply::Kind::timeout, {}, {}});
}

void HttpPool::finish(const std::shared_ptr<Job>& job, Reply reply) {
  const Done done = std::exchange(job->done, nullptr);
  job->timer.cancel();
  job->connection.reset();
  running_.remove(job);
  waiting_.remove(job);
  start_waiting();
  done(std::move(reply));
}

void HttpPool::start_waiting() {
  while (!waiting_.empty() && running_.size() < limits_.max_connections) {
    const std::shared_ptr<Job> job = waiting_.front();
    waiting_.pop_front();
    running_.push_back(job);
    start(job, false);
  }
}

void HttpPool::arm_idle_timer() {
  if (idle_timer_armed_ || idle_.empty()) return;
  idle_timer_armed_ = true;
  idle_timer_.expires_at(idle_.front().until);
  idle_timer_.async_wait([self = shared_from_this()](error_code error) {
    self->idle_timer_armed_ = false;
    if (error || self->closed_) return;
    while (!self->idle_.empty() && self->idle_.front().until <= Clock::now()) {
      self->idle_.front().connection->close();
      self->idle_.pop_front();
    }
    self->arm_idle_timer();
  });
}

void HttpPool::close() {
  if (std::exchange(closed_, true)) return;
  for (const Idle& idle : idle_) idle.connection->close();
  idle_.clear();
  idle_timer_.cancel();
  Jobs jobs = std::exchange(running_, {});
  jobs.splice(jobs.end(), std::exchange(waiting_, {}));
  for (const std::shared_ptr<Job>& job : jobs) {
    if (job->connection) job->connection->close();
    finish(job, {Reply::Kind::closed, {}, {}});
  }
}

}  // namespace conat::auth
