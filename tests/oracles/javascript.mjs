// firebase-admin and jose, set up as their documentation says, at the corpus' time and with its keys.
import { createServer } from "node:http";
import { Agent } from "node:https";
import { connect } from "node:net";

import { initializeApp } from "firebase-admin/app";
import { getAppCheck } from "firebase-admin/app-check";
import { getAuth } from "firebase-admin/auth";
import { createLocalJWKSet, jwtVerify } from "jose";

import { corpus, kindOf } from "./corpus.mjs";

// firebase-admin has no setting for the time, and asks for it nowhere else.
Date.now = () => corpus.now * 1000;

/** The paths at which Google publishes its keys. */
const PUBLISHED = {
  "/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com": corpus.certificates.id_token,
  "/identitytoolkit/v3/relyingparty/publicKeys": corpus.certificates.session_cookie,
  "/v1/jwks": corpus.jwk_sets.app_check,
};

const ISSUERS = {
  id_token: `https://securetoken.google.com/${corpus.project}`,
  session_cookie: `https://session.firebase.google.com/${corpus.project}`,
  google_id_token: ["https://accounts.google.com", "accounts.google.com"],
  app_check: `https://firebaseappcheck.googleapis.com/${corpus.project_number}`,
  exchanged_token: "https://door.example.com",
};

const AUDIENCES = {
  id_token: corpus.project,
  session_cookie: corpus.project,
  google_id_token: corpus.audience,
  app_check: `projects/${corpus.project}`,
  exchanged_token: corpus.audience,
};

/** Every token's verdict: `accept`, or the error. Tokens of kinds that the oracle does not know have none. */
async function verdicts(verifiers) {
  const found = {};
  for (const token of corpus.tokens) {
    const verify = verifiers[kindOf(token)];
    if (!verify) continue;
    try {
      await verify(token.token);
      found[token.name] = "accept";
    } catch (error) {
      found[token.name] = `refuse: ${error.code ?? error.name}`;
    }
  }
  return found;
}

/** The Admin SDK, which fetches its keys from a server of ours in Google's place. */
export async function firebaseAdmin() {
  const server = createServer((request, response) => {
    const document = PUBLISHED[new URL(request.url, "http://localhost").pathname];
    response.writeHead(document ? 200 : 404, { "content-type": "application/json", "cache-control": "max-age=3600" });
    response.end(JSON.stringify(document ?? {}));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  class GoogleAgent extends Agent {
    createConnection() {
      return connect(server.address().port, "127.0.0.1");
    }
  }
  const app = initializeApp({ projectId: corpus.project, httpAgent: new GoogleAgent() });
  try {
    return await verdicts({
      id_token: (token) => getAuth(app).verifyIdToken(token),
      session_cookie: (token) => getAuth(app).verifySessionCookie(token),
      app_check: (token) => getAppCheck(app).verifyToken(token),
    });
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** jose, with everything pinned that it can pin. */
export async function jose() {
  const verifiers = {};
  for (const [kind, issuer] of Object.entries(ISSUERS)) {
    const keys = createLocalJWKSet(corpus.jwk_sets[kind]);
    const options = {
      algorithms: [kind === "exchanged_token" ? "ES256" : "RS256"],
      issuer,
      audience: AUDIENCES[kind],
      currentDate: new Date(corpus.now * 1000),
      clockTolerance: corpus.clock_skew_seconds,
      typ: kind === "exchanged_token" ? "firegate-exchanged+jwt" : undefined,
    };
    verifiers[kind] = (token) => jwtVerify(token, keys, options);
  }
  return verdicts(verifiers);
}
