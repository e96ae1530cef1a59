// The way to point Google's Node libraries at `firegate dev` without their emulator mode, which accepts unsigned tokens
// alone: an agent whose connections end at the local parts. The libraries send their requests unchanged, with Google's
// host names, and verify real signatures against the keys they fetch.
import { Agent } from "node:https";
import { connect } from "node:net";

import { environment } from "./environment.mjs";

const PARTS = {
  "iamcredentials.googleapis.com": environment.google,
  "identitytoolkit.googleapis.com": environment.identity,
  "oauth2.googleapis.com": environment.google,
  "securetoken.googleapis.com": environment.identity,
  "sts.googleapis.com": environment.google,
  "www.googleapis.com": environment.identity,
};

class LocalGoogle extends Agent {
  createConnection({ host }) {
    const part = PARTS[host];
    if (!part) throw new Error(`no local part stands in for ${host}`);
    const { hostname, port } = new URL(part);
    return connect(Number(port), hostname);
  }
}

export const localGoogle = new LocalGoogle();

/** The key file of a service account of the local Google, as its console would download it. */
export async function serviceAccountKey(email) {
  const response = await fetch(`${environment.google}/firegate/v1/serviceAccounts/${email}/key`);
  if (!response.ok) throw new Error(`no key for ${email}: ${response.status} ${await response.text()}`);
  return response.json();
}
