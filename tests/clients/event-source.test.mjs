// A browser's EventSource: a page of another origin reads the private service's event stream through the front door. It can
// set no header, so the token stands in the query.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

import { newUser } from "./firebase-apps.mjs";
import { startDoor } from "./own-door.mjs";

/** Reads the stream twice, the second time without a token, and tells what came and when. */
const script = async (url, token) => {
  const read = (url) =>
    new Promise((resolve) => {
      const events = [];
      const source = new EventSource(url);
      source.onmessage = ({ data }) => events.push({ data, at: performance.now() });
      source.onerror = () => {
        source.close();
        resolve(events);
      };
    });
  const events = await read(`${url}?access_token=${token}`);
  const refused = await read(url);
  await fetch("/told", { method: "POST", body: JSON.stringify({ events, refused }) });
};

/** A page that runs the script, and what it tells. */
async function startPage(t) {
  let tell;
  const told = new Promise((resolve) => (tell = resolve));
  const page = { script: "", told };
  const server = createServer(async (request, response) => {
    if (request.method === "POST") {
      let body = "";
      for await (const chunk of request) body += chunk;
      tell(JSON.parse(body));
    }
    response.setHeader("Content-Type", "text/html").end(`<!doctype html><script>${page.script}</script>`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  page.origin = `http://127.0.0.1:${server.address().port}`;
  return page;
}

test("events come one by one to a page of another origin", { timeout: 60_000 }, async (t) => {
  const user = await newUser();
  const page = await startPage(t);
  const door = await startDoor({}, ["query"], { cors: { origins: [page.origin] } });
  page.script = `(${script})(${JSON.stringify(`${door}/events`)}, ${JSON.stringify(await user.getIdToken())})`;

  const profile = mkdtempSync(join(tmpdir(), "firegate-browser-"));
  // Within a container there is no sandbox to be had, and the page is the test's own.
  const options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", `--user-data-dir=${profile}`];
  const browser = spawn("chromium", [...options, "--disable-background-networking", page.origin], { stdio: "ignore" });
  const ended = once(browser, "exit");
  t.after(async () => {
    browser.kill();
    await ended;
    rmSync(profile, { recursive: true, force: true });
  });
  const { events, refused } = await page.told;
  assert.ok(events.length >= 3, JSON.stringify(events));
  const gaps = events.slice(1).map((event, index) => event.at - events[index].at);
  assert.ok(Math.max(...gaps) > 50, `each comes when it is sent, and not all at the end: ${gaps}`);
  assert.deepEqual(refused, []);
});
