// The two ends of Firebase: the app that a user holds, and the server that administers the users.
import { after } from "node:test";

import admin from "firebase-admin";
import { getAppCheck as getAdminAppCheck } from "firebase-admin/app-check";
import { getAuth as getAdminAuth } from "firebase-admin/auth";
import { deleteApp, initializeApp } from "firebase/app";
import { connectAuthEmulator, createUserWithEmailAndPassword, getAuth } from "firebase/auth";

import { environment, newEmail } from "./environment.mjs";
import { localGoogleAgent, metadataAccessToken, serviceAccountKey } from "./local-google.mjs";

export const PASSWORD = "correct horse battery staple";

let apps = 0;

/** A new installation of the app: nobody is signed in, and it shares nothing with the others. */
export function newDevice() {
  apps += 1;
  const app = initializeApp({ apiKey: "any", projectId: environment.project }, `device-${apps}`);
  after(() => deleteApp(app));
  const auth = getAuth(app);
  connectAuthEmulator(auth, environment.identity, { disableWarnings: true });
  return auth;
}

/** Somebody who has just signed up with an e-mail address and `PASSWORD`. */
export async function newUser(auth = newDevice()) {
  const { user } = await createUserWithEmailAndPassword(auth, newEmail(), PASSWORD);
  return user;
}

/** The Admin SDK as in production: it signs with a service account's key and verifies signatures. */
export async function adminAuth() {
  const credential = admin.credential.cert(await serviceAccountKey(environment.service_accounts.caller));
  // Only `owner` administers the local users; the key is for signing custom tokens.
  credential.getAccessToken = async () => ({ access_token: "owner", expires_in: 3600 });
  const app = admin.initializeApp({ projectId: environment.project, credential, httpAgent: localGoogleAgent }, "admin");
  after(() => app.delete());
  return getAdminAuth(app);
}

/** The Admin SDK's App Check as in production, with the credential of the front door's service account. */
export async function adminAppCheck() {
  const credential = admin.credential.cert(await serviceAccountKey(environment.service_accounts.caller));
  credential.getAccessToken = metadataAccessToken;
  const app = admin.initializeApp({ projectId: environment.project, credential, httpAgent: localGoogleAgent }, "app-check");
  after(() => app.delete());
  return getAdminAppCheck(app);
}
