// Storing many messages at once.
import type { StreamClient } from "./stream.js";
import type { CallTimeout, SetOutcome } from "./types.js";

// What one setMany carries.
const batchCount = 500;
const batchBytes = 4_000_000;

/** `setMany` of any number of messages. */
export async function setInBatches(
  stream: StreamClient, operations: Parameters<StreamClient["setMany"]>[0], options: CallTimeout,
): Promise<SetOutcome[]> {
  const outcomes: SetOutcome[] = [];
  for (let start = 0; start < operations.length; ) {
    let end = start;
    let bytes = 0;
    do {
      bytes += operations[end]?.messageData.length ?? 0;
      end += 1;
    } while (end < operations.length && end - start < batchCount && bytes + (operations[end]?.messageData.length ?? 0) <= batchBytes);
    for (const outcome of await stream.setMany(operations.slice(start, end), options)) outcomes.push(outcome);
    start = end;
  }
  return outcomes;
}
