// What an app's server and its pages do with Firebase's other tokens, before a door that takes them: session cookies, users
// who are revoked, and App Check.
import assert from "node:assert/strict";
import test, { after } from "node:test";

import { deleteApp, initializeApp } from "firebase/app";
import { CustomProvider, getLimitedUseToken, initializeAppCheck } from "firebase/app-check";

import { environment } from "./environment.mjs";
import { adminAuth, newUser } from "./firebase-apps.mjs";
import { fetchFromLocalGoogle } from "./local-google.mjs";
import { startDoor } from "./own-door.mjs";
import { assertDoorRefuses } from "./private-service.mjs";

const FIVE_DAYS_MS = 5 * 24 * 60 * 60 * 1000;
/** The bound on staleness is a second; the rest is for a busy machine. */
const PATIENCE_MS = 20_000;

const auth = await adminAuth();

/** Calls until the door refuses. */
async function refusal(call) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const response = await call();
    if (response.status !== 200 || Date.now() > deadline) return response;
    await response.arrayBuffer();
  }
}

test("a session cookie of the Admin SDK opens the service until the user is revoked", async (t) => {
  const revocation = { check: "required", max_staleness: "1s" };
  const door = await startDoor({ accept: ["id_token", "session_cookie"], revocation }, ["authorization", "cookie"]);
  const user = await newUser();
  const token = await user.getIdToken();
  const cookie = await auth.createSessionCookie(token, { expiresIn: FIVE_DAYS_MS });
  const withCookie = () => fetch(`${door}/page`, { headers: { Cookie: `theme=dark; __session=${cookie}` } });
  const withToken = () => fetch(`${door}/data`, { headers: { Authorization: `Bearer ${token}` } });

  const seen = await (await withCookie()).json();
  assert.equal(seen.headers["x-firegate-user-id"], user.uid);
  assert.equal(seen.headers.cookie, "theme=dark");
  const crossSite = { method: "POST", headers: { Cookie: `__session=${cookie}`, Origin: "https://evil.example" } };
  const forged = await fetch(`${door}/page`, crossSite);
  await assertDoorRefuses(forged, { status: 403, reason: "COOKIE_ORIGIN_NOT_ALLOWED", action: "NONE" });
  assert.equal((await withToken()).status, 200);

  // The SDK revokes up to its own clock's second, in which the user has just signed in: let that second pass.
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 2000 });
  await auth.revokeRefreshTokens(user.uid);
  t.mock.timers.reset();
  for (const call of [withCookie, withToken]) {
    await assertDoorRefuses(await refusal(call), { status: 401, reason: "TOKEN_REVOKED", action: "SIGN_IN" });
  }
});

test("the JS SDK's App Check token opens a door that consumes it, once", async (t) => {
  const door = await startDoor({ app_check: { consume: true } });
  // The SDK's address of App Check cannot be set, so its requests are turned.
  const realFetch = globalThis.fetch;
  globalThis.fetch = (input, init) =>
    String(input).startsWith("https://") ? fetchFromLocalGoogle(input, init) : realFetch(input, init);
  t.after(() => {
    globalThis.fetch = realFetch;
  });
  globalThis.FIREBASE_APPCHECK_DEBUG_TOKEN = environment.app_check_debug_token;
  const appId = `1:${environment.project_number}:web:0123456789abcdef`;
  const app = initializeApp({ apiKey: "any", appId, projectId: environment.project }, "own-door");
  after(() => deleteApp(app));
  const provider = new CustomProvider({ getToken: () => assert.fail("debug mode asks the debug provider") });
  const appCheck = initializeAppCheck(app, { provider, isTokenAutoRefreshEnabled: false });

  const user = await newUser();
  const { token } = await getLimitedUseToken(appCheck);
  const bearer = { Authorization: `Bearer ${await user.getIdToken()}` };
  const call = (headers) => fetch(`${door}/buy`, { headers: { ...bearer, ...headers } });
  await assertDoorRefuses(await call({}), { status: 401, reason: "APP_CHECK_TOKEN_MISSING", action: "NONE" });
  assert.equal((await call({ "X-Firebase-AppCheck": token })).status, 200);
  const again = await call({ "X-Firebase-AppCheck": token });
  await assertDoorRefuses(again, { status: 401, reason: "APP_CHECK_TOKEN_CONSUMED", action: "NONE" });
});
