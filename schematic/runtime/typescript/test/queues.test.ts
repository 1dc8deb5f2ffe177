//! Bounds: what waits to be sent, what waits to be read, and who waits for an answer.

import { describe, expect, it } from "vitest";
import { Outbox, RECEIVED_LIMIT, type ConnectionOptions, type Link, type SchematicError, type Transport } from "../src/index.js";
import { settled } from "../src/testing.js";
import { bench, last, opened, type Message } from "./support.js";

describe("outgoing", () => {
  it("is bounded by count", () => {
    const { connection } = bench({ policy: { outbound_messages: 2 } });
    connection.send({ n: 1 });
    connection.send({ n: 2 });
    expect(() => connection.send({ n: 3 })).toThrow(expect.objectContaining({ kind: "full" }));
    expect(connection.queued).toBe(2);
  });

  it("is bounded by bytes, as they are on the wire", () => {
    const outbox = new Outbox<string>({ outbound_messages: 10, outbound_bytes: 6 });
    outbox.add("a", "äää");
    expect(outbox.bytes).toBe(6);
    expect(() => outbox.add("b", "b")).toThrow("6 bytes are queued");
  });

  it("lets a sender wait for room", async () => {
    const { connection, heard } = bench({ policy: { outbound_messages: 1 } });
    connection.send({ n: 1 });
    const second = connection.sendWhenRoom({ n: 2 });
    connection.open();
    await expect(second).resolves.toMatchObject({ message: { n: 2 } });
    await settled();
    expect(heard).toEqual([[{ n: 1 }, { n: 2 }]]);
  });

  it("does not wait for room that will never come", async () => {
    const { connection } = bench({ policy: { outbound_bytes: 5 } });
    await expect(connection.sendWhenRoom({ text: "much too long" })).rejects.toMatchObject({ kind: "full" });
  });

  it("waits while the platform's own buffer is full", async () => {
    let buffered = 1_000;
    const sent: unknown[] = [];
    const link: Link = { send: (frame) => void sent.push(frame), close: () => undefined, drop: () => undefined, buffered: () => buffered };
    const transport: Transport = {
      connect: (_request, events) => {
        queueMicrotask(() => events.open(""));
        return link;
      },
    };
    const { connection, clock } = await opened({ transport, policy: { platform_bytes: 100 } });
    const outgoing = connection.send({ n: 1 });
    await clock.advance(200);
    expect(sent).toEqual([]);
    buffered = 0;
    await clock.advance(50);
    expect(sent).toEqual(['{"n":1}']);
    expect(outgoing.status).toBe("sent");
  });

  it("keeps the order when a listener sends in the middle of it", async () => {
    const { connection, heard } = bench();
    connection.send({ n: 1 });
    connection.send({ n: 2 });
    connection.on("sent", (message) => void (message["n"] === 1 && connection.send({ n: 3 })));
    connection.open();
    await settled();
    expect(heard).toEqual([[{ n: 1 }, { n: 2 }, { n: 3 }]]);
  });
});

describe("incoming", () => {
  const flood = async (options: Partial<ConnectionOptions<Message, Message>>, count: number) => {
    const made = await opened(options);
    const iterator = made.connection[Symbol.asyncIterator]();
    for (let n = 1; n <= count; n += 1) last(made.peers).send(JSON.stringify({ n, key: n % 2 }));
    await settled();
    return { ...made, iterator };
  };
  const take = async (iterator: AsyncIterator<Message>, count: number): Promise<unknown[]> => {
    const taken: unknown[] = [];
    for (let n = 0; n < count; n += 1) taken.push(((await iterator.next()).value as Message)["n"]);
    return taken;
  };

  it("makes the server wait and loses nothing", async () => {
    const { iterator } = await flood({ policy: { inbound_messages: 4, inbound_full: "block" } }, 50);
    expect(await take(iterator, 50)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
  });

  it("does not take a server that waits for a dead one", async () => {
    const { connection, clock } = await flood({ policy: { inbound_messages: 4, heartbeat_ms: 100 } }, 50);
    await clock.advance(1_000);
    expect(connection.state.status).toBe("open");
  });

  it("drops the oldest and counts them", async () => {
    const { iterator } = await flood({ policy: { inbound_messages: 3, inbound_full: "drop_oldest" } }, 5);
    expect(await take(iterator, 3)).toEqual([3, 4, 5]);
    expect((iterator as unknown as { dropped: number }).dropped).toBe(2);
  });

  it("keeps the newest of each key", async () => {
    const policy = { inbound_messages: 3, inbound_full: "coalesce" } as const;
    const { iterator } = await flood({ policy, coalesceKey: (m) => m["key"] }, 9);
    expect(await take(iterator, 2)).toEqual([8, 9]);
  });

  it("fails the loop and ends the connection", async () => {
    const { iterator, connection } = await flood({ policy: { inbound_messages: 2, inbound_full: "fail" } }, 3);
    expect(await take(iterator, 2)).toEqual([1, 2]);
    await expect(iterator.next()).rejects.toMatchObject({ kind: "full" });
    expect(connection.state).toMatchObject({ status: "closed", cause: { error: { kind: "full" } } });
  });

  it("ends the loop with the connection", async () => {
    const { connection, peers } = await opened();
    const seen: Message[] = [];
    const loop = (async () => {
      for await (const message of connection) seen.push(message);
    })();
    last(peers).send('{"n":1}');
    last(peers).close(1000);
    await loop;
    expect(seen).toEqual([{ n: 1 }]);
  });

  it("reports what cannot be read, bounded, and goes on", async () => {
    const { connection, peers } = await opened({ policy: { frame_bytes: 5_000 } });
    const errors: SchematicError[] = [];
    const seen: Message[] = [];
    connection.on("error", (error) => void errors.push(error));
    connection.on("message", (message) => void seen.push(message));
    last(peers).send("not JSON");
    last(peers).send(`"${"x".repeat(6_000)}"`);
    last(peers).send('{"n":1}');
    await settled();
    expect(errors.map((error) => error.kind)).toEqual(["shape", "shape"]);
    expect(errors[1]?.received?.length).toBe(RECEIVED_LIMIT);
    expect(seen).toEqual([{ n: 1 }]);
    expect(connection.state.status).toBe("open");
  });
});

describe("replies", () => {
  const replyId = (message: Message): unknown => message["id"];

  it("find their request by id, in any order", async () => {
    const { connection, peers } = await opened({ replyId });
    const first = connection.request({ id: 1 }, { id: 1 });
    const second = connection.request({ id: "b" }, { id: "b" });
    last(peers).send('{"id":"b","n":2}');
    last(peers).send('{"id":1,"n":1}');
    expect(await first).toEqual({ id: 1, n: 1 });
    expect(await second).toEqual({ id: "b", n: 2 });
  });

  it("find it by turn where there are no ids", async () => {
    const { connection, peers } = await opened();
    const accepts = (message: Message): boolean => "answer" in message;
    const first = connection.request({ ask: 1 }, { accepts });
    const second = connection.request({ ask: 2 }, { accepts });
    const others: Message[] = [];
    connection.on("message", (message) => void others.push(message));
    last(peers).send('{"event":1}');
    last(peers).send('{"answer":1}');
    last(peers).send('{"answer":2}');
    expect([await first, await second]).toEqual([{ answer: 1 }, { answer: 2 }]);
    expect(others).toEqual([{ event: 1 }]);
  });

  it("come as a stream up to the last", async () => {
    const { connection, peers } = await opened({ replyId });
    const seen: unknown[] = [];
    const replies = connection.requestMany({ id: 1 }, { id: 1, last: (m) => m["done"] === true });
    for (const n of [1, 2, 3]) last(peers).send(JSON.stringify({ id: 1, n, done: n === 3 }));
    for await (const reply of replies) seen.push(reply["n"]);
    expect(seen).toEqual([1, 2, 3]);
  });

  it("are given up after their time, and a request that never left with them", async () => {
    const { connection, clock } = bench({ policy: { reply_ms: 500 } }, () => undefined);
    connection.open();
    const reply = connection.request({ n: 1 });
    const outcome = expect(reply).rejects.toMatchObject({ kind: "timeout" });
    await clock.advance(500);
    await outcome;
    expect(connection.queued).toBe(0);
  });

  it("do not outlive the link", async () => {
    const { connection, peers } = await opened();
    const outcome = expect(connection.request({ n: 1 })).rejects.toMatchObject({ kind: "disconnected" });
    await settled();
    last(peers).cut();
    await outcome;
  });
});
