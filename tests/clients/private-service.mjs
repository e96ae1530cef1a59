// The private service, called through the front door and past it.
import assert from "node:assert/strict";

import { environment } from "./environment.mjs";
import { fetchWithUser } from "./fetch-with-user.mjs";

/** Calls the service past the front door, as `curl` would. Without a token no `Authorization` is sent. */
export function callDirectly(token, path = "/direct") {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return fetch(new URL(path, environment.service), { headers });
}

/** Calls the service through the front door with this very token. */
export function callDoor(token, path = "/") {
  return fetch(new URL(path, environment.door), { headers: { Authorization: `Bearer ${token}` } });
}

/** Cloud Run's own answer: its status, and a page instead of JSON. */
export async function assertCloudRunRefuses(response, status) {
  const body = await response.text();
  assert.equal(response.status, status, body);
  assert.match(response.headers.get("content-type") ?? "", /^text\/html/);
}

/** Firegate's own answer: an AIP-193 error with this reason and action. */
export async function assertDoorRefuses(response, { status, reason, action }) {
  const text = await response.text();
  assert.equal(response.status, status, text);
  const { error } = JSON.parse(text);
  const [info] = error.details;
  assert.deepEqual(
    { code: error.code, type: info["@type"], domain: info.domain, reason: info.reason, action: info.metadata.action },
    { code: status, type: "type.googleapis.com/google.rpc.ErrorInfo", domain: "firegate", reason, action },
  );
}

/**
 * The user reaches the private service through the front door, the service saw this request of this user, and the same
 * token does not open the service itself. Returns what the service saw.
 */
export async function assertReachesService(user, path, init = {}) {
  const response = await fetchWithUser(user, new URL(path, environment.door), init);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const seen = JSON.parse(text);
  assert.equal(seen.service, "firegate sample");
  assert.equal(seen.method, init.method ?? "GET");
  assert.equal(seen.path, path);
  assert.equal(seen.headers["x-firegate-user-id"], user.uid);
  assert.equal(seen.assertion.verified, true, text);
  assert.equal(seen.user.sub, user.uid);
  await assertCloudRunRefuses(await callDirectly(await user.getIdToken()), 401);
  return seen;
}
