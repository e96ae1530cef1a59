// How Google's Node libraries find the parts of `firegate dev`, where they have no setting for it.
import { Agent } from "node:https";
import { connect } from "node:net";

import { environment } from "./environment.mjs";

class IdentityPlatformAgent extends Agent {
  createConnection() {
    const { hostname, port } = new URL(environment.identity);
    return connect(Number(port), hostname);
  }
}

/**
 * The `httpAgent` for the Admin SDK. Its own setting, FIREBASE_AUTH_EMULATOR_HOST, makes it accept unsigned tokens and
 * nothing else; this way it sends what it sends to Google, and verifies signatures against the keys that it fetches.
 */
export const identityPlatformAgent = new IdentityPlatformAgent();

/**
 * The `fetchImplementation` for google-auth-library, which ignores a key file's `token_uri`: requests to Google's hosts
 * go to the local Google, with the host's name as first part of the path.
 */
export function fetchFromLocalGoogle(input, init) {
  const url = new URL(input);
  const isGoogle = url.hostname.endsWith(".googleapis.com");
  return fetch(isGoogle ? new URL(`/${url.hostname}${url.pathname}${url.search}`, environment.google) : url, init);
}

/** The key file of a service account of the local Google, as Google's console would download it. */
export async function serviceAccountKey(email) {
  const response = await fetch(`${environment.google}/firegate/v1/serviceAccounts/${email}/key`);
  if (!response.ok) throw new Error(`no key for ${email}: ${response.status} ${await response.text()}`);
  return response.json();
}
