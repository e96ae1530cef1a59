// A front door for production, `firegate serve`, with a configuration of the test's own and the parts of the running
// `firegate dev` in the place of Google's.
import { execFileSync, spawn } from "node:child_process";
import http from "node:http";
import https from "node:https";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

import { environment } from "./environment.mjs";

const READY_TIMEOUT_MS = 20_000;
const binary =
  process.env.FIREGATE_BINARY ?? fileURLToPath(new URL("../../target/debug/firegate", import.meta.url));

/** Starts a door that speaks TLS, and the file of its certificate. */
export async function startTlsDoor() {
  const folder = mkdtempSync(join(tmpdir(), "firegate-tls-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const [certificate, key] = ["certificate.pem", "key.pem"].map((name) => join(folder, name));
  const self = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"];
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  execFileSync("openssl", ["req", ...self, ...name, "-keyout", key, "-out", certificate], { stdio: "ignore" });
  const url = await startDoor({}, ["authorization"], { tls: { certificates: [{ cert: certificate, key }] } });
  return { url, certificate };
}

/**
 * Starts a door before the private service; its URL, once it can decide. `users` is the configuration's, as JSON, and `more`
 * is whatever else stands in it.
 */
export async function startDoor(users, tokenSources, more = {}) {
  const folder = mkdtempSync(join(tmpdir(), "firegate-door-"));
  const { google, identity, service } = environment;
  const at = (base, path) => new URL(path, base).href;
  const configuration = {
    project: environment.project,
    project_number: environment.project_number,
    data_dir: join(folder, "data"),
    listen: "127.0.0.1:0",
    ...more,
    backends: { api: { url: new URL(service).origin, credential: "metadata", token_sources: tokenSources } },
    allow: ["allAuthenticatedUsers"],
    users,
    google: {
      metadata: google,
      app_check: google,
      app_check_keys: at(google, "v1/jwks"),
      identity_toolkit: at(identity, "identitytoolkit.googleapis.com"),
      id_token_keys: at(identity, "www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"),
      session_cookie_keys: at(identity, "www.googleapis.com/identitytoolkit/v3/relyingparty/publicKeys"),
    },
  };
  // JSON is YAML.
  const file = join(folder, "firegate.yaml");
  writeFileSync(file, JSON.stringify(configuration));
  const door = spawn(binary, ["serve", "--config", file], { stdio: ["ignore", "ignore", "pipe"] });
  after(() => {
    door.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  const url = await listening(door);
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!(await isReady(`${url}/.well-known/firegate/ready`))) {
    if (Date.now() > deadline) throw new Error("the door does not become ready");
  }
  return url;
}

/** Whether the door says so. Its certificate is the test's own, which `fetch` would not believe. */
function isReady(url) {
  return new Promise((resolve, reject) => {
    const { get } = url.startsWith("https:") ? https : http;
    const options = { rejectUnauthorized: false };
    get(url, options, (response) => resolve(response.resume().statusCode === 200)).on("error", reject);
  });
}

/** The URL that the door's log names. Its log is read on, so that the door never waits for a reader. */
function listening(door) {
  return new Promise((resolve, reject) => {
    const log = [];
    door.on("error", reject);
    door.on("exit", (code) => reject(new Error(`firegate serve ended with ${code}:\n${log.join("\n")}`)));
    createInterface({ input: door.stderr }).on("line", (line) => {
      log.push(line);
      const address = /the front door listens.*address=(\S+)/.exec(line)?.[1];
      if (address) resolve(address.startsWith("https://") ? address : `http://${address}`);
    });
  });
}
