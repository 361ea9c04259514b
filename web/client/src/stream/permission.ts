// Who may write where, checked before anything is sent; the server checks the same again.
import { ConatError } from "../errors.js";
import { wellFormed } from "../wasm/driver.js";
import { runtime } from "../wasm/runtime.js";
import type { StreamUser } from "./types.js";

/** The token of the subject that stands for an owner. */
export function scopeOf({ account_id, project_id }: StreamUser): string {
  if (account_id !== undefined && project_id !== undefined) {
    throw new ConatError("give account_id or project_id, not both");
  }
  if (account_id !== undefined) return `account-${account_id}`;
  if (project_id !== undefined) return `project-${project_id}`;
  return "hub";
}

/**
 * Checks that a request to `subject` may open the stream `path`.
 * @param options.subject for example `persist.account-{id}`.
 * @param options.service default `persist`: what the subject must begin with.
 * @throws ConatError 403 when it may not.
 */
export function assertHasWritePermission({ subject, path, service = "persist" }: {
  subject: string;
  path: string;
  service?: string;
}): void {
  const refusal = runtime().storageRefusal(wellFormed(subject), wellFormed(service), wellFormed(path));
  if (refusal !== "") throw new ConatError(refusal, { code: 403 });
}
