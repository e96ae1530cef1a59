// Google's auth library gets ID tokens of service accounts in its three ways, and calls the private service directly.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";

import { GoogleAuth, Impersonated } from "google-auth-library";

import { environment } from "./environment.mjs";
import { fetchFromLocalGoogle, serviceAccountKey } from "./local-google.mjs";
import { assertCloudRunRefuses, assertDoorRefuses, callDirectly, callDoor } from "./private-service.mjs";

const { service_accounts: accounts } = environment;

// Application default credentials are the metadata server's: no key file and no gcloud login of this machine counts,
// and the library needs no gcloud to tell it the project.
process.env.GCE_METADATA_HOST = new URL(environment.google).host;
process.env.GOOGLE_CLOUD_PROJECT = environment.project;
delete process.env.GCE_METADATA_IP;
delete process.env.GOOGLE_APPLICATION_CREDENTIALS;
const gcloudConfiguration = await mkdtemp(join(tmpdir(), "firegate-gcloud-"));
process.env.CLOUDSDK_CONFIG = gcloudConfiguration;
after(() => rm(gcloudConfiguration, { recursive: true }));

/** The service saw this service account, whose token Cloud Run had validated, and no user. */
function assertSawServiceAccount(seen, email) {
  assert.equal(seen.path, "/machine");
  const [, payload, signature] = seen.headers.authorization.split(".");
  assert.equal(JSON.parse(Buffer.from(payload, "base64url")).email, email);
  assert.equal(signature, "SIGNATURE_REMOVED_BY_GOOGLE");
  assert.equal(seen.user, null);
}

/** The library itself calls the private service, with a token for the service's URL. */
async function assertClientReachesService(client, email) {
  const { status, data } = await client.request({ url: `${environment.service}/machine`, responseType: "json" });
  assert.equal(status, 200);
  assertSawServiceAccount(data, email);
}

/** A client that holds the key file of a service account, as `GOOGLE_APPLICATION_CREDENTIALS` would name it. */
async function keyFileClient(t, email) {
  const directory = await mkdtemp(join(tmpdir(), "firegate-key-"));
  t.after(() => rm(directory, { recursive: true }));
  const keyFilename = join(directory, "key.json");
  await writeFile(keyFilename, JSON.stringify(await serviceAccountKey(email)), { mode: 0o600 });
  const clientOptions = { transporterOptions: { fetchImplementation: fetchFromLocalGoogle } };
  return new GoogleAuth({ keyFilename, clientOptions }).getIdTokenClient(environment.service);
}

/** The token that a client would send. */
async function tokenOf(client) {
  const headers = await client.getRequestHeaders();
  return headers.get("authorization").replace(/^Bearer /, "");
}

test("the metadata server's ID token opens the service", async () => {
  const client = await new GoogleAuth().getIdTokenClient(environment.service);
  await assertClientReachesService(client, accounts.door);
});

test("a key file's ID token opens the service", async (t) => {
  await assertClientReachesService(await keyFileClient(t, accounts.caller), accounts.caller);
});

test("an ID token by impersonation opens the service", async () => {
  const sourceClient = await new GoogleAuth().getClient();
  const client = new Impersonated({ sourceClient, targetPrincipal: accounts.caller, endpoint: environment.google });
  const token = await client.fetchIdToken(environment.service);
  const response = await callDirectly(token, "/machine");
  assert.equal(response.status, 200);
  assertSawServiceAccount(await response.json(), accounts.caller);
});

test("nobody impersonates an account without being allowed to", async () => {
  const sourceClient = await new GoogleAuth().getClient();
  const client = new Impersonated({ sourceClient, targetPrincipal: accounts.stranger, endpoint: environment.google });
  await assert.rejects(client.fetchIdToken(environment.service), (error) => error.status === 403);
});

test("a service account without the invoker role is refused", async (t) => {
  const token = await tokenOf(await keyFileClient(t, accounts.stranger));
  await assertCloudRunRefuses(await callDirectly(token), 403);
});

test("an ID token for another audience is refused", async () => {
  const client = await new GoogleAuth().getIdTokenClient("https://another-service.example.com");
  await assertCloudRunRefuses(await callDirectly(await tokenOf(client)), 401);
});

test("the front door is for users: a service account's ID token is refused there", async () => {
  const client = await new GoogleAuth().getIdTokenClient(environment.service);
  const refused = await callDoor(await tokenOf(client));
  await assertDoorRefuses(refused, { status: 401, reason: "TOKEN_IS_GOOGLE_ID_TOKEN", action: "SIGN_IN" });
});
