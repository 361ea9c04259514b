// Runs one shell command with bytes for its standard input and collects its standard output.
//
// Blocks: call it on a thread of its own. The program must ignore SIGPIPE. Thread safety: pure
// function.
#pragma once

#include <cstdint>
#include <string>

#include "conat/base/result.hpp"

namespace conat::cli {

// `subject` is handed over as the environment variable CONAT_SUBJECT. The command and what it
// started are killed after `timeout_ms`, or when the output exceeds `max_output_bytes`.
// Error: why there is no answer (it failed, with its exit code; it took too long; ...).
Result<std::string> run_shell_command(const std::string& command, const std::string& subject,
                                      const std::string& input, std::int64_t timeout_ms,
                                      std::size_t max_output_bytes);

}  // namespace conat::cli
