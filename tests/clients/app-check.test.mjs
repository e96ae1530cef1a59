// App Check: the Firebase JS SDK's debug provider gets tokens, and the Admin SDK makes, verifies and consumes them.
import assert from "node:assert/strict";
import test, { after } from "node:test";

import { deleteApp, initializeApp } from "firebase/app";
import { CustomProvider, getLimitedUseToken, getToken, initializeAppCheck } from "firebase/app-check";

import { environment } from "./environment.mjs";
import { adminAppCheck } from "./firebase-apps.mjs";
import { fetchFromLocalGoogle } from "./local-google.mjs";

const appId = `1:${environment.project_number}:web:0123456789abcdef`;
const appCheck = await adminAppCheck();

// The SDK's address of App Check cannot be set, so its requests are turned.
const realFetch = globalThis.fetch;
globalThis.fetch = (input, init) =>
  String(input).startsWith("https://") ? fetchFromLocalGoogle(input, init) : realFetch(input, init);
after(() => {
  globalThis.fetch = realFetch;
});
globalThis.FIREBASE_APPCHECK_DEBUG_TOKEN = environment.app_check_debug_token;

/** App Check of an app that runs in debug mode, where its own provider is not asked. */
function debugAppCheck() {
  const app = initializeApp({ apiKey: "any", appId, projectId: environment.project }, "app-check");
  after(() => deleteApp(app));
  const provider = new CustomProvider({ getToken: () => assert.fail("debug mode asks the debug provider") });
  return initializeAppCheck(app, { provider, isTokenAutoRefreshEnabled: false });
}

/** The same token with another letter in the middle of its signature. */
function tampered(token) {
  const at = token.lastIndexOf(".") + 100;
  return token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
}

const debug = debugAppCheck();

test("the JS SDK's debug provider gets a token that the Admin SDK verifies", async () => {
  const { token } = await getToken(debug);
  const verified = await appCheck.verifyToken(token);
  assert.equal(verified.appId, appId);
  const { aud, iss, provider, iat, exp } = verified.token;
  assert.deepEqual(aud, [`projects/${environment.project_number}`, `projects/${environment.project}`]);
  assert.deepEqual([iss, provider], [`https://firebaseappcheck.googleapis.com/${environment.project_number}`, "debug"]);
  assert.equal(exp - iat, 3600);
  await assert.rejects(appCheck.verifyToken(tampered(token)), { code: "app-check/invalid-argument" });
});

test("a limited-use token is consumed once", async () => {
  const { token } = await getLimitedUseToken(debug);
  const consume = async () => (await appCheck.verifyToken(token, { consume: true })).alreadyConsumed;
  assert.deepEqual([await consume(), await consume()], [false, true]);
});

test("a token of the Admin SDK's own making verifies", async () => {
  const { token, ttlMillis } = await appCheck.createToken(appId, { ttlMillis: 1_800_000 });
  assert.equal(ttlMillis, 1_800_000);
  const verified = await appCheck.verifyToken(token);
  assert.deepEqual([verified.appId, verified.token.provider], [appId, "custom"]);
});

test("no token is made for an app of another project", async () => {
  await assert.rejects(appCheck.createToken("1:1:web:0123456789abcdef"), { code: "app-check/permission-denied" });
});
