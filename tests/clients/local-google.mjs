// How Google's Node libraries find the parts of `firegate dev`, where they have no setting for it.
import { Agent } from "node:https";
import { connect } from "node:net";

import { environment } from "./environment.mjs";

const APP_CHECK = "firebaseappcheck.googleapis.com";

class LocalGoogleAgent extends Agent {
  addRequest(request, options) {
    if (options.host === APP_CHECK) {
      // The Google parts answer under a name of this machine alone, and know the API by the first part of the path.
      request.setHeader("Host", new URL(environment.google).host);
      request.path = `/${APP_CHECK}${request.path}`;
    }
    super.addRequest(request, options);
  }

  createConnection(options) {
    const { hostname, port } = new URL(options.host === APP_CHECK ? environment.google : environment.identity);
    return connect(Number(port), hostname);
  }
}

/**
 * The `httpAgent` for the Admin SDK. Its own setting, FIREBASE_AUTH_EMULATOR_HOST, makes it accept unsigned tokens and
 * nothing else, and App Check has no such setting; this way it sends what it sends to Google, and verifies signatures
 * against the keys that it fetches.
 */
export const localGoogleAgent = new LocalGoogleAgent();

/**
 * The `fetchImplementation` for google-auth-library, which ignores a key file's `token_uri`: requests to Google's hosts
 * go to the local Google, with the host's name as first part of the path.
 */
export function fetchFromLocalGoogle(input, init) {
  const url = new URL(input);
  const isGoogle = url.hostname.endsWith(".googleapis.com");
  return fetch(isGoogle ? new URL(`/${url.hostname}${url.pathname}${url.search}`, environment.google) : url, init);
}

/** An access token of the machine's own service account. */
export async function metadataAccessToken() {
  const path = "/computeMetadata/v1/instance/service-accounts/default/token";
  const response = await fetch(new URL(path, environment.google), { headers: { "Metadata-Flavor": "Google" } });
  if (!response.ok) throw new Error(`no access token: ${response.status} ${await response.text()}`);
  return response.json();
}

/** The key file of a service account of the local Google, as Google's console would download it. */
export async function serviceAccountKey(email) {
  const response = await fetch(`${environment.google}/firegate/v1/serviceAccounts/${email}/key`);
  if (!response.ok) throw new Error(`no key for ${email}: ${response.status} ${await response.text()}`);
  return response.json();
}
