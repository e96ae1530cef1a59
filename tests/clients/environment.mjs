// Where the parts of the running `firegate dev` answer, as its ready file says:
// `project`, `project_number`, `door`, `service`, `google`, `identity`, `app_check_debug_token`, `user`,
// `service_accounts`.
import { readFileSync } from "node:fs";

const path = process.env.FIREGATE_READY_FILE;
if (!path) {
  throw new Error("FIREGATE_READY_FILE is not set: run `cargo xtask test`, or name the file you gave to `firegate dev --ready-file`");
}

export const environment = JSON.parse(readFileSync(path, "utf8"));

let emails = 0;

/** An address that no other test of any run uses. */
export function newEmail() {
  emails += 1;
  return `user-${process.pid}-${Date.now()}-${emails}@example.com`;
}
