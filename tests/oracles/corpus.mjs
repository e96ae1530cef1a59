// The corpus that `cargo test -p firegate-core --test corpus` has written, and where the other verifiers are.
import { readFileSync } from "node:fs";

function setting(name, what) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`cargo xtask test oracles\`, or name ${what}`);
  return value;
}

export const corpusFile = setting("FIREGATE_CORPUS_FILE", "the file hostile-tokens.json");
export const python = setting("FIREGATE_ORACLES_PYTHON", "a Python that has requirements.txt installed");

/** `now`, `project`, `jwk_sets`, `certificates`, `tokens`: see crates/firegate-core/tests/corpus/main.rs. */
export const corpus = JSON.parse(readFileSync(corpusFile, "utf8"));

/** The kind of token that a door is for: doors for ID tokens differ in what they make of tenants. */
export function kindOf(token) {
  return token.offered.startsWith("id_token") ? "id_token" : token.offered;
}
