// Other verifiers judge the corpus. They never refuse what Firegate accepts; where Firegate refuses what they accept, the
// difference stands in differences.json with its reason, and nothing stands there that is not so.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test from "node:test";

import { corpus, corpusFile, kindOf, python } from "./corpus.mjs";
import { firebaseAdmin, jose } from "./javascript.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const listed = JSON.parse(readFileSync(here("differences.json"), "utf8"));

const verdicts = {
  "firebase-admin": await firebaseAdmin(),
  jose: await jose(),
  ...JSON.parse(execFileSync(python, [here("verdicts.py"), corpusFile], { maxBuffer: 64 << 20 })),
};

/** `token → oracle → reason` of one of the lists. */
function reasons(list) {
  const found = new Map();
  for (const { reason, tokens } of list) {
    for (const [token, oracles] of Object.entries(tokens)) {
      for (const oracle of oracles) {
        const key = `${oracle}: ${token}`;
        assert.ok(!found.has(key), `${key} is listed twice`);
        found.set(key, reason);
      }
    }
  }
  return found;
}

const lists = { accepts: reasons(listed.accepted_by_others_alone), refuses: reasons(listed.refused_by_others_alone) };

/** What an oracle says that Firegate does not: `accepts`, `refuses`, or nothing. */
function difference(token, verdict) {
  if (verdict === undefined || (verdict === "accept") === (token.reason === null)) return undefined;
  return verdict === "accept" ? "accepts" : "refuses";
}

const classes = [...new Set(corpus.tokens.map((token) => token.class))];
for (const [oracle, found] of Object.entries(verdicts)) {
  for (const name of classes) {
    const tokens = corpus.tokens.filter((token) => token.class === name && token.name in found);
    if (tokens.length === 0) continue;
    test(`${oracle} differs from Firegate in ${name} as listed, and in nothing else`, () => {
      const unlisted = tokens
        .map((token) => [token, difference(token, found[token.name])])
        .filter(([token, differs]) => differs && !lists[differs].has(`${oracle}: ${token.name}`))
        .map(([token, differs]) => `${differs} ${token.name} (${token.how}; here: ${token.reason ?? "accepted"}; there: ${found[token.name]})`);
      assert.deepEqual(unlisted, []);
    });
  }
}

test("no entry of the list is stale", () => {
  const byName = new Map(corpus.tokens.map((token) => [token.name, token]));
  for (const [differs, list] of Object.entries(lists)) {
    const stale = [...list.keys()].filter((key) => {
      const [oracle, name] = [key.slice(0, key.indexOf(": ")), key.slice(key.indexOf(": ") + 2)];
      const token = byName.get(name);
      return !token || difference(token, verdicts[oracle]?.[name]) !== differs;
    });
    assert.deepEqual(stale, [], `listed as "${differs}", and not so`);
  }
});

test("every difference has its reason in a sentence", () => {
  for (const { reason } of [...listed.accepted_by_others_alone, ...listed.refused_by_others_alone]) {
    assert.match(reason, /^[A-Z"`].{20,}\.$/s);
  }
});

test("what each oracle can verify is what is said of it", (context) => {
  const kinds = Object.fromEntries(
    Object.entries(verdicts).map(([oracle, found]) => [
      oracle,
      [...new Set(corpus.tokens.filter((token) => token.name in found).map(kindOf))].sort(),
    ]),
  );
  assert.deepEqual(kinds, listed.kinds);
  for (const [oracle, found] of Object.entries(verdicts)) {
    const accepted = Object.values(found).filter((verdict) => verdict === "accept").length;
    const differences = [...lists.accepts.keys()].filter((key) => key.startsWith(`${oracle}: `)).length;
    context.diagnostic(`${oracle}: ${Object.keys(found).length} tokens, ${accepted} accepted, ${differences} that Firegate refuses`);
  }
});
