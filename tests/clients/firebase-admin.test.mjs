// The Admin SDK administers the local users and verifies their tokens, not in its emulator mode but as in production:
// with the issuer's public keys.
import assert from "node:assert/strict";
import test from "node:test";

import { signInWithEmailAndPassword } from "firebase/auth";

import { environment, newEmail } from "./environment.mjs";
import { adminAuth, newDevice, newUser, PASSWORD } from "./firebase-apps.mjs";
import { assertDoorRefuses, assertReachesService, callDoor } from "./private-service.mjs";

const FIVE_DAYS_MS = 5 * 24 * 60 * 60 * 1000;

assert.equal(process.env.FIREBASE_AUTH_EMULATOR_HOST, undefined, "emulator mode would accept unsigned tokens");
const auth = await adminAuth();

/** Another letter in the middle of the signature: every bit of it counts there, unlike in the last letter. */
function tampered(token) {
  const at = token.lastIndexOf(".") + 100;
  return token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
}

/** The same token with one claim changed and the old signature. */
function withClaim(token, name, value) {
  const [header, payload, signature] = token.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url"));
  const changed = Buffer.from(JSON.stringify({ ...claims, [name]: value })).toString("base64url");
  return [header, changed, signature].join(".");
}

test("a user is created, read, updated and deleted", async () => {
  const email = newEmail();
  const { uid } = await auth.createUser({ email, password: PASSWORD, displayName: "Ada" });
  assert.equal((await auth.getUserByEmail(email)).uid, uid);

  const updated = await auth.updateUser(uid, { displayName: "Ada Lovelace", emailVerified: true });
  assert.deepEqual([updated.displayName, updated.emailVerified], ["Ada Lovelace", true]);
  assert.equal((await auth.getUser(uid)).displayName, "Ada Lovelace");

  const { user } = await signInWithEmailAndPassword(newDevice(), email, PASSWORD);
  const seen = await assertReachesService(user, "/created-by-admin");
  assert.equal(seen.user.email_verified, true);

  await auth.deleteUser(uid);
  await assert.rejects(auth.getUser(uid), { code: "auth/user-not-found" });
  await assert.rejects(user.getIdToken(true), { code: "auth/user-token-expired" });
});

test("a disabled user's refresh fails", async () => {
  const user = await newUser();
  await auth.updateUser(user.uid, { disabled: true });
  await assert.rejects(user.getIdToken(true), { code: "auth/user-disabled" });
  await assert.rejects(signInWithEmailAndPassword(newDevice(), user.email, PASSWORD), { code: "auth/user-disabled" });
});

test("users are listed page by page", async () => {
  const expected = [(await newUser()).uid, (await newUser()).uid];
  const listed = [];
  let pageToken;
  do {
    const page = await auth.listUsers(2, pageToken);
    assert.ok(page.users.length <= 2);
    listed.push(...page.users.map((user) => user.uid));
    pageToken = page.pageToken;
  } while (pageToken);
  assert.equal(new Set(listed).size, listed.length, "no user is listed twice");
  for (const uid of expected) assert.ok(listed.includes(uid));
});

test("custom claims are in the next token and in the assertion that the service saw", async () => {
  const user = await newUser();
  await auth.setCustomUserClaims(user.uid, { role: "editor", teams: ["blue", "green"] });
  assert.deepEqual((await auth.getUser(user.uid)).customClaims, { role: "editor", teams: ["blue", "green"] });
  await user.getIdToken(true);
  const seen = await assertReachesService(user, "/claims");
  assert.equal(seen.user.claims.role, "editor");
  assert.deepEqual(seen.user.claims.teams, ["blue", "green"]);
});

test("an ID token verifies, and a tampered one does not", async () => {
  const user = await newUser();
  const token = await user.getIdToken();
  const claims = await auth.verifyIdToken(token);
  assert.deepEqual([claims.uid, claims.aud, claims.email], [user.uid, environment.project, user.email]);
  assert.equal(claims.iss, `https://securetoken.google.com/${environment.project}`);
  for (const forged of [tampered(token), withClaim(token, "email", "somebody-else@example.com")]) {
    await assert.rejects(auth.verifyIdToken(forged), { code: "auth/argument-error" });
    const refused = await callDoor(forged);
    await assertDoorRefuses(refused, { status: 401, reason: "TOKEN_SIGNATURE_INVALID", action: "SIGN_IN" });
  }
});

test("a session cookie verifies, a tampered one does not, and none is an ID token", async () => {
  const user = await newUser();
  const cookie = await auth.createSessionCookie(await user.getIdToken(), { expiresIn: FIVE_DAYS_MS });
  const claims = await auth.verifySessionCookie(cookie);
  assert.deepEqual([claims.uid, claims.iss], [user.uid, `https://session.firebase.google.com/${environment.project}`]);
  assert.equal(claims.exp - claims.iat, FIVE_DAYS_MS / 1000);
  await assert.rejects(auth.verifySessionCookie(tampered(cookie)), { code: "auth/argument-error" });
  await assert.rejects(auth.verifyIdToken(cookie), { code: "auth/argument-error" });
  const refused = await callDoor(cookie);
  await assertDoorRefuses(refused, { status: 401, reason: "TOKEN_IS_SESSION_COOKIE", action: "SIGN_IN" });
});

test("revoked sessions end with the next refresh, and a verification that asks notices at once", async (t) => {
  const user = await newUser();
  const token = await user.getIdToken();
  assert.equal((await auth.verifyIdToken(token, true)).uid, user.uid);

  // The SDK revokes up to its own clock's second, in which the user has just signed in: let that second pass.
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 2000 });
  await auth.revokeRefreshTokens(user.uid);
  t.mock.timers.reset();

  assert.equal((await auth.verifyIdToken(token)).uid, user.uid);
  await assert.rejects(auth.verifyIdToken(token, true), { code: "auth/id-token-revoked" });
  await assert.rejects(user.getIdToken(true), { code: "auth/user-token-expired" });
  assert.equal((await callDoor(token)).status, 200, "revocation checks are off by default");
});
