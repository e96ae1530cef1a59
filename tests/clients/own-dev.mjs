// A `firegate dev` of the test's own.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const READY_TIMEOUT_MS = 20_000;
const POLL_MS = 20;
const binary =
  process.env.FIREGATE_BINARY ?? fileURLToPath(new URL("../../target/debug/firegate", import.meta.url));

/** Starts it with these arguments, and returns what its ready file says. */
export async function startDev(...more) {
  const folder = mkdtempSync(join(tmpdir(), "firegate-dev-"));
  const file = join(folder, "ready.json");
  const ports = ["port", "service-port", "google-port", "identity-port"].map((name) => `--${name}=0`);
  const dev = spawn(binary, ["dev", ...ports, "--ready-file", file, ...more], {
    stdio: "ignore",
    cwd: folder,
  });
  after(() => {
    dev.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!existsSync(file)) {
    if (Date.now() > deadline || dev.exitCode !== null) throw new Error("firegate dev does not become ready");
    await setTimeout(POLL_MS);
  }
  return JSON.parse(readFileSync(file, "utf8"));
}

/** The ID token of somebody who has just signed up there. */
export async function newToken({ identity }) {
  const url = new URL("identitytoolkit.googleapis.com/v1/accounts:signUp?key=any", identity);
  const body = JSON.stringify({ email: `user-${Date.now()}@example.com`, password: "correct horse", returnSecureToken: true });
  const response = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  return (await response.json()).idToken;
}
