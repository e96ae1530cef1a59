// `@grpc/grpc-js`, on both sides of the front door and of Cloud Run's front: calls of all four kinds, metadata, trailers and
// status.
import assert from "node:assert/strict";
import test from "node:test";

import grpc from "@grpc/grpc-js";

import { newToken, startDev } from "./own-dev.mjs";

const text = { serialize: (value) => Buffer.from(value), deserialize: String };
const method = (name, requestStream, responseStream) => ({
  path: `/firegate.Sample/${name}`,
  requestStream,
  responseStream,
  requestSerialize: text.serialize,
  requestDeserialize: text.deserialize,
  responseSerialize: text.serialize,
  responseDeserialize: text.deserialize,
});
const service = {
  unary: method("Unary", false, false),
  collect: method("Collect", true, false),
  count: method("Count", false, true),
  chat: method("Chat", true, true),
};

/** What a stream brings until its end. */
async function all(stream) {
  const received = [];
  for await (const message of stream) received.push(message);
  return received;
}

test("calls of all four kinds", async (t) => {
  const server = new grpc.Server();
  server.addService(service, {
    unary: (call, done) => {
      if (call.request === "fail") {
        const metadata = new grpc.Metadata();
        metadata.set("why", "asked-for");
        return done({ code: grpc.status.NOT_FOUND, details: "no such thing", metadata });
      }
      done(null, `${call.request} ${call.metadata.get("x-firegate-user-id")} [${call.metadata.get("authorization")}]`);
    },
    collect: async (call, done) => done(null, (await all(call)).join("+")),
    count: (call) => {
      for (let number = 1; number <= Number(call.request); number += 1) call.write(String(number));
      call.end();
    },
    // An iterator would destroy the stream with its last message, and the status would not be sent.
    chat: (call) => call.on("data", (message) => call.write(message.toUpperCase())).on("end", () => call.end()),
  });
  const port = await new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
  t.after(() => server.forceShutdown());
  const dev = await startDev("--service", `http://127.0.0.1:${port}`, "--cloud-run", "use-http2");
  const Client = grpc.makeGenericClientConstructor(service, "Sample");
  const client = new Client(new URL(dev.door).host, grpc.credentials.createInsecure());
  t.after(() => client.close());
  const metadata = new grpc.Metadata();
  const call = (name, request, sent = metadata) =>
    new Promise((resolve) => client[name](request, sent, (error, answer) => resolve({ error, answer })));

  const { error: refused } = await call("unary", "hello");
  assert.equal(refused.code, grpc.status.UNAUTHENTICATED, refused.details);

  metadata.set("authorization", `Bearer ${await newToken(dev)}`);
  const { error, answer } = await call("unary", "hello");
  assert.equal(error, null);
  assert.match(answer, /^hello \S+ \[\]$/, "the service knows the user, and does not get the token");

  const { error: failed } = await call("unary", "fail");
  assert.deepEqual(
    [failed.code, failed.details, failed.metadata.get("why")],
    [grpc.status.NOT_FOUND, "no such thing", ["asked-for"]],
  );

  const collected = new Promise((resolve, reject) => {
    const stream = client.collect(metadata, (error, answer) => (error ? reject(error) : resolve(answer)));
    for (const part of ["a", "b", "c"]) stream.write(part);
    stream.end();
  });
  assert.equal(await collected, "a+b+c");
  assert.deepEqual(await all(client.count("3", metadata)), ["1", "2", "3"]);

  // Each answer comes before the next question.
  const words = ["one", "two", "three"];
  const chat = client.chat(metadata);
  const answers = [];
  await new Promise((resolve, reject) => {
    const ask = () => (answers.length < words.length ? chat.write(words[answers.length]) : chat.end());
    chat.on("error", reject).on("end", resolve);
    chat.on("data", (answer) => {
      answers.push(answer);
      ask();
    });
    ask();
  });
  assert.deepEqual(answers, ["ONE", "TWO", "THREE"]);
});
