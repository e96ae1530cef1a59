// curl, in every version of HTTP that it speaks, through the front door to the private service.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import test from "node:test";
import { promisify } from "node:util";

import { environment } from "./environment.mjs";
import { newUser } from "./firebase-apps.mjs";
import { startTlsDoor } from "./own-door.mjs";

const run = promisify(execFile);

/** Calls a door with curl: the version that was spoken, the status and what the service saw. */
async function curl(door, token, ...options) {
  const authorization = token ? ["--header", `Authorization: Bearer ${token}`] : [];
  const written = ["--silent", "--show-error", "--write-out", "\n%{http_version} %{response_code}"];
  const url = new URL("/curl?a=b", door).href;
  const { stdout } = await run("curl", [...written, ...authorization, ...options, url]);
  const [, body, version, status] = /^(.*)\n(\S+) (\d+)$/s.exec(stdout);
  return { body: JSON.parse(body), version, status: Number(status) };
}

async function check(door, version, ...options) {
  const user = await newUser();
  const answer = await curl(door, await user.getIdToken(), "--data", "hello", ...options);
  assert.deepEqual([answer.status, answer.version], [200, version], JSON.stringify(answer.body));
  const { body } = answer;
  assert.deepEqual([body.service, body.method, body.path, body.headers["x-firegate-user-id"]], ["firegate sample", "POST", "/curl?a=b", user.uid]);
  const refused = await curl(door, undefined, ...options);
  assert.deepEqual([refused.status, refused.version], [401, version]);
  assert.equal(refused.body.error.details[0].reason, "TOKEN_MISSING");
}

test("HTTP/1.1", () => check(environment.door, "1.1", "--http1.1"));
test("HTTP/1.0", () => check(environment.door, "1", "--http1.0"));
test("HTTP/2 without TLS, with prior knowledge", () => check(environment.door, "2", "--http2-prior-knowledge"));
test("HTTP/2 without TLS is no upgrade", () => check(environment.door, "1.1", "--http2"));

test("HTTP/2 and HTTP/1.1 over TLS", async () => {
  const { url, certificate } = await startTlsDoor();
  await check(url, "2", "--cacert", certificate, "--http2");
  await check(url, "1.1", "--cacert", certificate, "--http1.1");
});
