//! What a definition's policy says about time: longest life, rates, first beats, ping frames, and when a message counts as sent.

import { describe, expect, it } from "vitest";
import type { Link, Transport } from "../src/index.js";
import { settled } from "../src/testing.js";
import { bench, last, opened, type Message } from "./support.js";

const quick = { initial_ms: 100, max_ms: 400, jitter: 0, max_attempts: 5, min_uptime_ms: 1_000 };

describe("the longest life", () => {
  it("ends a link, and a session that is restored goes on with a new one", async () => {
    const { clock, peers, events } = await opened({ policy: { max_age_ms: 60_000, reconnect: quick } });
    await clock.advance(59_999);
    expect(peers).toHaveLength(1);
    await clock.advance(101);
    expect(events).toEqual(["connecting", "open", "reconnecting", "connecting", "reconnected"]);
    await clock.advance(60_100);
    expect(peers).toHaveLength(3);
  });

  it("ends a session that is not restored, and says why", async () => {
    const { connection, clock } = await opened({ policy: { max_age_ms: 60_000, reconnect: "never" } });
    await clock.advance(60_000);
    expect(connection.state).toMatchObject({ status: "closed", cause: { error: { kind: "timeout", message: "The link has reached its longest life" } } });
    expect(clock.timers).toBe(0);
  });
});

describe("rates", () => {
  it("make messages wait for their turn, all limits at once", async () => {
    const rates = [
      { messages: 2, per_ms: 1_000 },
      { messages: 3, per_ms: 60_000 },
    ];
    const { connection, clock, heard } = await opened({ policy: { rates } });
    for (const n of [1, 2, 3, 4]) connection.send({ n });
    const sent = (): number => heard[0]?.length ?? 0;
    await settled();
    expect(sent()).toBe(2);
    await clock.advance(999);
    expect(sent()).toBe(2);
    await clock.advance(1);
    expect(sent()).toBe(3);
    await clock.advance(58_999);
    expect(sent()).toBe(3);
    await clock.advance(1);
    expect(heard[0]).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }]);
  });

  it("count what is said first, and begin anew with each link", async () => {
    const { connection, clock, heard, peers } = await opened({ opening: () => [{ hello: 1 }], policy: { reconnect: quick, rates: [{ messages: 1, per_ms: 10_000 }] } });
    connection.send({ n: 1 });
    await settled();
    expect(heard[0]).toEqual([{ hello: 1 }]);
    last(peers).cut();
    await clock.advance(100);
    expect(heard[1]).toEqual([{ hello: 1 }]);
    await clock.advance(10_000);
    expect(heard[1]).toEqual([{ hello: 1 }, { n: 1 }]);
  });

  it("let a message that waits for its turn be taken back", async () => {
    const { connection, clock, heard } = await opened({ policy: { rates: [{ messages: 1, per_ms: 1_000 }] } });
    connection.send({ n: 1 });
    expect(connection.send({ n: 2 }).withdraw()).toBe(true);
    await clock.advance(5_000);
    expect(heard[0]).toEqual([{ n: 1 }]);
  });
});

describe("beats of messages", () => {
  const heartbeat = { ping: () => ({ ping: true }), isBeat: (m: Message) => m["pong"] === true };

  it("begin after a random part of the interval where they should", async () => {
    const { connection, clock, heard } = await opened({ heartbeat, policy: { jitter_first: true } });
    clock.chance = 0.25;
    connection.setHeartbeat(1_000);
    await clock.advance(249);
    expect(heard[0]).toEqual([]);
    await clock.advance(1);
    expect(heard[0]).toHaveLength(1);
    await clock.advance(999);
    expect(heard[0]).toHaveLength(1);
    await clock.advance(1);
    expect(heard[0]).toHaveLength(2);
  });

  it("give up a link whose answer is late, though other frames come", async () => {
    const { connection, clock, peers } = await opened({ heartbeat, policy: { heartbeat_ms: 1_000, heartbeat_reply_ms: 300, reconnect: quick } });
    await clock.advance(1_000);
    last(peers).send('{"pong":true}');
    await clock.advance(1_299);
    last(peers).send('{"other":true}');
    await settled();
    expect(connection.state.status).toBe("open");
    await clock.advance(1);
    expect(connection.state).toMatchObject({ status: "waiting", cause: { error: { kind: "timeout" } } });
  });

  it("do not blame a server that may not be read", async () => {
    const { connection, clock, peers } = await opened({ heartbeat, policy: { heartbeat_ms: 1_000, heartbeat_reply_ms: 300, inbound_messages: 1 } });
    const iterator = connection[Symbol.asyncIterator]();
    last(peers).send("{}");
    last(peers).send("{}");
    await clock.advance(5_000);
    expect(connection.state.status).toBe("open");
    await iterator.return?.();
    await clock.advance(5_000);
    expect(peers.length).toBeGreaterThan(1);
  });
});

describe("ping frames", () => {
  it("are sent at their interval, and a pong keeps the link", async () => {
    const pings: string[] = [];
    const made = bench({ policy: { ping_ms: 1_000, ping_reply_ms: 200, reconnect: quick } });
    made.connection.open();
    await settled();
    last(made.peers).onping = (payload) => pings.push(payload) > 0;
    await made.clock.advance(5_000);
    expect(pings).toHaveLength(5);
    expect(made.peers).toHaveLength(1);
  });

  it("give up a link that does not answer in time", async () => {
    const { connection, clock, peers } = await opened({ policy: { ping_ms: 1_000, ping_reply_ms: 200, reconnect: quick } });
    last(peers).onping = () => false;
    await clock.advance(1_199);
    expect(connection.state.status).toBe("open");
    await clock.advance(1);
    expect(connection.state.status).toBe("waiting");
  });

  it("of the server are signs of life", async () => {
    const { clock, peers } = await opened({ policy: { idle_ms: 1_000, reconnect: quick } });
    for (let n = 0; n < 5; n += 1) {
      await clock.advance(900);
      last(peers).ping();
      await settled();
    }
    expect(peers).toHaveLength(1);
  });

  it("are left out where the platform has none, as in browsers", async () => {
    const link: Link = { send: () => undefined, close: () => undefined, drop: () => undefined, buffered: () => 0 };
    const transport: Transport = {
      connect: (_request, events) => {
        queueMicrotask(() => events.open(""));
        return link;
      },
    };
    const { connection, clock } = await opened({ transport, policy: { ping_ms: 1_000, ping_reply_ms: 200, confirm: "pong" } });
    const outgoing = connection.send({ n: 1 });
    expect(outgoing.status).toBe("sent");
    await clock.advance(10_000);
    expect(connection.state.status).toBe("open");
  });
});

describe("a message counts as sent", () => {
  it("when a pong has come that was asked for after it", async () => {
    const { connection, peers } = await opened({ policy: { confirm: "pong" } });
    const [one, two] = [connection.send({ n: 1 }), connection.send({ n: 2 })];
    expect([one?.status, two?.status]).toEqual(["written", "written"]);
    await settled();
    expect([one?.status, two?.status, connection.queued]).toEqual(["sent", "sent", 0]);
    last(peers).onping = () => false;
    const third = connection.send({ n: 3 });
    await settled();
    expect([third.status, third.withdraw()]).toEqual(["written", false]);
  });

  it("by a pong that was asked for before it not yet", async () => {
    const { connection, peers } = await opened({ policy: { confirm: "pong" } });
    last(peers).onping = (payload) => payload === "1";
    const sent = [1, 2, 3].map((n) => connection.send({ n }));
    await settled();
    expect(sent.map(({ status }) => status)).toEqual(["sent", "written", "written"]);
  });

  it("when an answer says so", async () => {
    const confirms = (message: Message): number => Number(message["got"]);
    const { connection, peers } = await opened({ confirms, policy: { confirm: "answer" } });
    const sent = [1, 2, 3].map((n) => connection.send({ n }));
    last(peers).send('{"got":2}');
    await settled();
    expect(sent.map(({ status }) => status)).toEqual(["sent", "sent", "written"]);
  });

  it("and until then it comes back, is said again, or is left to the session, as its fate is", async () => {
    const fate = (message: Message) => message["fate"] as "again" | "restored" | "unknown";
    const made = bench({ fate, policy: { confirm: "pong", reconnect: quick } });
    const handedBack: unknown[] = [];
    made.connection.on("reconnecting", ({ unsent }) => handedBack.push(...unsent));
    made.connection.open();
    await settled();
    last(made.peers).onping = () => false;
    const sent = ["again", "restored", "unknown"].map((what) => made.connection.send({ fate: what }));
    await settled();
    last(made.peers).cut();
    await made.clock.advance(50);
    made.connection.send({ n: 1 });
    await made.clock.advance(50);
    expect(handedBack).toEqual([{ fate: "unknown" }]);
    expect(made.heard[1]).toEqual([{ fate: "again" }, { n: 1 }]);
    expect(sent.map(({ status }) => status)).toEqual(["sent", "sent", "unsent"]);
  });

  it("at the latest when the server answers the goodbye", async () => {
    const { connection, peers } = await opened({ policy: { confirm: "pong" } });
    last(peers).onping = () => false;
    let unsent: readonly Message[] | undefined;
    connection.on("closed", (end) => void (unsent = end.unsent));
    connection.send({ n: 1 });
    connection.close();
    await settled();
    expect(unsent).toEqual([]);
  });

  it("and takes its place in the bounds of the queue until it does", async () => {
    const { connection, peers } = await opened({ policy: { confirm: "pong", outbound_messages: 1 } });
    last(peers).onping = () => false;
    connection.send({ n: 1 });
    expect(() => connection.send({ n: 2 })).toThrow(expect.objectContaining({ kind: "full" }));
  });
});
