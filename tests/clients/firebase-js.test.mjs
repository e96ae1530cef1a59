// The Firebase JS SDK signs a user in at the local Identity Platform, and the user calls a private service.
import assert from "node:assert/strict";
import test from "node:test";

import {
  createUserWithEmailAndPassword,
  deleteUser,
  signInAnonymously,
  signInWithCustomToken,
  signInWithEmailAndPassword,
  signOut,
  updateProfile,
} from "firebase/auth";

import { environment, newEmail } from "./environment.mjs";
import { fetchWithUser } from "./fetch-with-user.mjs";
import { adminAuth, newDevice, newUser, PASSWORD } from "./firebase-apps.mjs";
import { assertCloudRunRefuses, assertDoorRefuses, assertReachesService, callDirectly, callDoor } from "./private-service.mjs";

test("nobody reaches the service without a token", async () => {
  await assertCloudRunRefuses(await callDirectly(undefined), 403);
  await assertDoorRefuses(await fetch(environment.door), { status: 401, reason: "TOKEN_MISSING", action: "SIGN_IN" });
});

test("the seeded user signs in and reaches the service", async () => {
  const { email, password } = environment.user;
  const { user } = await signInWithEmailAndPassword(newDevice(), email, password);
  const seen = await assertReachesService(user, "/seeded");
  assert.equal(seen.headers["x-firegate-user-email"], email);
  assert.equal(seen.user.email, email);
});

test("a new user signs up, signs out and signs in again", async () => {
  const auth = newDevice();
  const email = newEmail();
  const created = await createUserWithEmailAndPassword(auth, email, PASSWORD);
  await assertReachesService(created.user, "/signed-up");
  await signOut(auth);
  assert.equal(auth.currentUser, null);

  const { user } = await signInWithEmailAndPassword(auth, email, PASSWORD);
  assert.equal(user.uid, created.user.uid);
  const seen = await assertReachesService(user, "/signed-in?page=2", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ hello: "world" }),
  });
  assert.equal(seen.headers["content-type"], "application/json");
  assert.equal(seen.user.sign_in_provider, "password");
});

test("a wrong password signs nobody in", async () => {
  const { email } = await newUser();
  const refused = signInWithEmailAndPassword(newDevice(), email, "wrong password");
  await assert.rejects(refused, (error) => /^auth\/(invalid-credential|wrong-password)$/.test(error.code));
});

test("an address signs up once", async () => {
  const { email } = await newUser();
  await assert.rejects(createUserWithEmailAndPassword(newDevice(), email, PASSWORD), { code: "auth/email-already-in-use" });
});

test("getIdToken(true) brings a token that reaches the service", async () => {
  const user = await newUser();
  const before = user.stsTokenManager.expirationTime;
  const token = await user.getIdToken(true);
  assert.ok(user.stsTokenManager.expirationTime >= before);
  assert.equal((await callDoor(token)).status, 200);
  await assertReachesService(user, "/refreshed");
});

test("a custom token's user reaches the service, and the custom token itself does not", async () => {
  const uid = `partner-${process.pid}-${Date.now()}`;
  const customToken = await (await adminAuth()).createCustomToken(uid, { plan: "gold" });
  const { user } = await signInWithCustomToken(newDevice(), customToken);
  assert.equal(user.uid, uid);
  const seen = await assertReachesService(user, "/partner");
  assert.equal(seen.user.claims.plan, "gold");
  assert.equal(seen.user.sign_in_provider, "custom");
  const refused = await callDoor(customToken);
  await assertDoorRefuses(refused, { status: 401, reason: "TOKEN_IS_CUSTOM_TOKEN", action: "SIGN_IN" });
});

test("an anonymous user is refused until the configuration accepts them", async () => {
  const { user } = await signInAnonymously(newDevice());
  assert.equal(user.isAnonymous, true);
  const refused = await fetchWithUser(user, environment.door);
  await assertDoorRefuses(refused, { status: 403, reason: "ANONYMOUS_USER_NOT_ACCEPTED", action: "SIGN_IN" });
  await assertCloudRunRefuses(await callDirectly(await user.getIdToken()), 401);
});

test("a changed profile is in the next token", async () => {
  const user = await newUser();
  await updateProfile(user, { displayName: "Grace Hopper", photoURL: "https://example.com/grace.png" });
  await user.reload();
  assert.equal(user.displayName, "Grace Hopper");
  const { claims } = await user.getIdTokenResult(true);
  assert.deepEqual([claims.name, claims.picture], ["Grace Hopper", "https://example.com/grace.png"]);
  await assertReachesService(user, "/profile");
});

test("a deleted user's refresh fails at once, and the ID token lives until it expires", async () => {
  const user = await newUser();
  const token = await user.getIdToken();
  const { email, refreshToken } = user;
  await deleteUser(user);

  const refresh = await fetch(`${environment.identity}/securetoken.googleapis.com/v1/token?key=any`, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: refreshToken }),
  });
  assert.equal(refresh.status, 400, await refresh.text());
  assert.equal((await callDoor(token)).status, 200, "revocation checks are off by default");
  await assertCloudRunRefuses(await callDirectly(token), 401);
  const signIn = signInWithEmailAndPassword(newDevice(), email, PASSWORD);
  await assert.rejects(signIn, (error) => /^auth\/(invalid-credential|user-not-found)$/.test(error.code));
});
