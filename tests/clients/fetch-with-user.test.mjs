// `fetchWithUser`, as the README prints it: against the real front door, and against a server that asks for a refresh.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import test from "node:test";

import { environment } from "./environment.mjs";
import { fetchWithUser } from "./fetch-with-user.mjs";
import { newUser } from "./firebase-apps.mjs";
import { assertReachesService } from "./private-service.mjs";

/** A server that answers one request after the other from a list, and keeps what it was sent. */
async function serverAnswering(t, answers) {
  const requests = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { method, headers } = request;
    requests.push({ method, token: headers.authorization, type: headers["content-type"], body });
    const { status, json } = answers[requests.length - 1] ?? { status: 500, json: "one request too many" };
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(json));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${server.address().port}/`, requests };
}

/** A user whose kept token is `kept` and whose refreshed one is `fresh`. */
const user = { getIdToken: async (forceRefresh) => (forceRefresh ? "fresh" : "kept") };

const refusal = (action) => ({ status: 401, json: { error: { code: 401, details: [{ metadata: { action } }] } } });
const ok = { status: 200, json: { ok: true } };

async function check(t, answers, { status, tokens }) {
  const { url, requests } = await serverAnswering(t, answers);
  const init = { method: "POST", headers: { "Content-Type": "text/plain" }, body: "hello" };
  const response = await fetchWithUser(user, url, init);
  assert.equal(response.status, status);
  assert.deepEqual(
    requests,
    tokens.map((token) => ({ method: "POST", token: `Bearer ${token}`, type: "text/plain", body: "hello" })),
  );
  assert.deepEqual(await response.json(), answers[tokens.length - 1].json, "the caller can still read the body");
}

test("through the front door", async () => {
  await assertReachesService(await newUser(), "/fetch-with-user", { method: "PUT", body: "hello" });
});

test("a user who is deleted meanwhile sees the error of the refresh", async () => {
  const user = await newUser();
  await user.delete();
  await assert.rejects(fetchWithUser({ getIdToken: () => user.getIdToken(true) }, environment.door), {
    code: "auth/user-token-expired",
  });
});

test("an answer is an answer", (t) => check(t, [ok], { status: 200, tokens: ["kept"] }));
test("REFRESH_TOKEN refreshes the token and asks again", (t) =>
  check(t, [refusal("REFRESH_TOKEN"), ok], { status: 200, tokens: ["kept", "fresh"] }));
test("REFRESH_TOKEN is obeyed once", (t) =>
  check(t, [refusal("REFRESH_TOKEN"), refusal("REFRESH_TOKEN"), ok], { status: 401, tokens: ["kept", "fresh"] }));
test("SIGN_IN is for the app", (t) => check(t, [refusal("SIGN_IN")], { status: 401, tokens: ["kept"] }));
test("a 401 of the service itself is for the app", (t) =>
  check(t, [{ status: 401, json: null }], { status: 401, tokens: ["kept"] }));
test("a 503 is no lost login", (t) =>
  check(t, [{ ...refusal("REFRESH_TOKEN"), status: 503 }], { status: 503, tokens: ["kept"] }));
