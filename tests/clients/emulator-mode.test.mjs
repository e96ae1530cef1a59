// A backend that verifies tokens with the Admin SDK in its emulator mode, as every backend does that was made with the Firebase
// Local Emulator Suite, behind a `firegate dev` that forwards them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";

import admin from "firebase-admin";

import { newToken, startDev } from "./own-dev.mjs";

const PROJECT = "demo-firegate";

const backend = createServer(async (request, response) => {
  const token = request.headers.authorization?.replace("Bearer ", "");
  try {
    const { uid } = await admin.auth().verifyIdToken(token, true);
    response.end(uid);
  } catch (error) {
    response.writeHead(401).end(error.message);
  }
});
await once(backend.listen(0, "127.0.0.1"), "listening");
const service = `http://127.0.0.1:${backend.address().port}`;
const folder = mkdtempSync(join(tmpdir(), "firegate-emulator-mode-"));
after(() => {
  backend.close();
  backend.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});
const file = join(folder, "firegate.yaml");
const forwarding = "{ url: https://api-abc123-uc.a.run.app, user_token: forward }";
writeFileSync(file, `project: ${PROJECT}\nbackends: { api: ${forwarding} }\nallow: [allAuthenticatedUsers]\n`);

/** What the backend answers to a user's request through the door. */
async function answer(...more) {
  const dev = await startDev("-c", file, "--map", `api=${service}`, ...more);
  process.env.FIREBASE_AUTH_EMULATOR_HOST = new URL(dev.identity).host;
  const app = admin.initializeApp({ projectId: PROJECT });
  const token = await newToken(dev);
  const response = await fetch(new URL("/orders", dev.door), { headers: { Authorization: `Bearer ${token}` } });
  const text = await response.text();
  await app.delete();
  return { status: response.status, text, token };
}

test("unsigned tokens are what it takes", async () => {
  const { status, text, token } = await answer("--token-signing", "none");
  const { sub } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  assert.deepEqual([status, text], [200, sub]);
});

test("signed ones it calls invalid, which the README warns of", async () => {
  const { status, text } = await answer();
  assert.equal(status, 401);
  assert.match(text, /invalid signature/);
});
