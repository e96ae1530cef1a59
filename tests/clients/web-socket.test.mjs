// `ws`, the WebSocket library of Node, on both sides of the front door and of Cloud Run's front.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import test from "node:test";

import { WebSocket, WebSocketServer } from "ws";

import { newToken, startDev } from "./own-dev.mjs";

test("messages go both ways, each as it was sent, and both sides say goodbye", async (t) => {
  const seen = {};
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, request) => {
    seen.headers = request.headers;
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on("close", (code, reason) => (seen.close = [code, String(reason)]));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const dev = await startDev("--service", `http://127.0.0.1:${server.address().port}`);
  const door = new URL("/chat", dev.door.replace(/^http/, "ws"));

  const authorization = { Authorization: `Bearer ${await newToken(dev)}` };
  const client = new WebSocket(door, { headers: authorization });
  await once(client, "open");
  const large = Buffer.alloc(1024 * 1024, "x");
  for (const message of ["hello", "", large]) {
    client.send(message);
    const [data, isBinary] = await once(client, "message");
    assert.equal(isBinary, message instanceof Buffer);
    assert.ok(Buffer.from(message).equals(data), `${message.length} bytes`);
  }
  client.close(4001, "goodbye");
  await once(client, "close");
  assert.ok(seen.headers["x-firegate-user-id"]);
  assert.equal(seen.headers.authorization, undefined, "the user's token stays at the door");
  // The service may learn of the end a moment after the client.
  while (!seen.close) await new Promise(setImmediate);
  assert.deepEqual(seen.close, [4001, "goodbye"]);

  const refused = new WebSocket(door);
  const [error] = await once(refused, "error");
  assert.match(error.message, /401/);
});
