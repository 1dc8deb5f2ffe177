//! Coming, going and coming back.

import { describe, expect, it } from "vitest";
import { SchematicError, type Ending } from "../src/index.js";
import { settled } from "../src/testing.js";
import { bench, last, opened, type Message } from "./support.js";

const quick = { initial_ms: 100, max_ms: 400, jitter: 0, max_attempts: 5, min_uptime_ms: 1_000 };

describe("opening", () => {
  it("tells what happens, in order", async () => {
    const { connection, events } = await opened();
    expect(connection.state.status).toBe("open");
    connection.close();
    await settled();
    expect(events).toEqual(["connecting", "open", "closing", "closed"]);
  });

  it("sends the opening messages before what was queued earlier", async () => {
    const { connection, heard } = bench({ opening: () => [{ hello: 1 }] });
    connection.send({ text: "early" });
    connection.open();
    await settled();
    expect(heard).toEqual([[{ hello: 1 }, { text: "early" }]]);
  });

  it("gives up an attempt after the connect timeout", async () => {
    const { connection, clock, peers } = bench({ policy: { connect_ms: 500, reconnect: quick } }, () => undefined);
    connection.open();
    await clock.advance(499);
    expect(connection.state.status).toBe("connecting");
    await clock.advance(1);
    expect(connection.state).toMatchObject({ status: "waiting", attempt: 1, cause: { code: 1006 } });
    await clock.advance(100);
    expect(peers).toHaveLength(2);
  });

  it("counts the time that the address takes, and ignores one that comes too late", async () => {
    let give: (url: string) => void = () => undefined;
    const target = (): Promise<string> => new Promise((resolve) => (give = resolve));
    const { connection, clock, peers } = bench({ target, policy: { connect_ms: 500, reconnect: quick } });
    connection.open();
    await settled();
    const late = give;
    await clock.advance(500);
    expect(connection.state.status).toBe("waiting");
    late("wss://example.test/late");
    await settled();
    expect(peers).toHaveLength(0);
  });

  it("refuses a server that chose another subprotocol", async () => {
    const { connection, events } = bench({ target: { url: "wss://example.test", protocols: ["v2"] } }, (peer) => peer.accept("v1"));
    connection.open();
    await settled();
    expect(connection.state).toMatchObject({ status: "closed", cause: { code: 1002, error: { kind: "protocol" } } });
    expect(events).toEqual(["connecting", "closed"]);
  });

  it("accepts the subprotocol that it offered", async () => {
    const { connection } = await opened({ target: { url: "wss://example.test", protocols: ["v2", "v1"] } });
    expect(connection.state).toMatchObject({ status: "open", protocol: "v2" });
  });

  it("holds everything back until the opening is acknowledged", async () => {
    const firstAck = { accepts: (m: Message) => m["ok"] === true, timeout_ms: 1_000 };
    const { connection, peers, heard } = await opened({ opening: () => [{ auth: 1 }], firstAck });
    connection.send({ text: "later" });
    await settled();
    expect(connection.state.status).toBe("connecting");
    expect(heard).toEqual([[{ auth: 1 }]]);
    last(peers).send('{"ok":true}');
    await settled();
    expect(connection.state.status).toBe("open");
    expect(heard).toEqual([[{ auth: 1 }, { text: "later" }]]);
  });

  it("ends when the opening is refused", async () => {
    const firstAck = { accepts: () => false, refuses: (m: Message) => m["ok"] === false, timeout_ms: 1_000 };
    const { connection, peers } = await opened({ opening: () => [{ auth: 1 }], firstAck });
    last(peers).send('{"ok":false}');
    await settled();
    expect(connection.state).toMatchObject({ status: "closed", cause: { error: { kind: "auth" } } });
  });

  it("settles `opened` and fails it with the reason", async () => {
    const good = bench();
    await expect(good.connection.opened()).resolves.toBeUndefined();
    const bad = bench({ policy: { reconnect: "never" } }, (peer) => peer.cut());
    await expect(bad.connection.opened()).rejects.toThrow("code 1006");
  });
});

describe("coming back", () => {
  it("waits longer each time, fails after the last attempt, and comes back when told", async () => {
    let accept = false;
    const { connection, clock, peers, events } = bench({ policy: { reconnect: quick } }, (peer) => (accept ? peer.accept() : peer.cut()));
    const delays: number[] = [];
    connection.on("reconnecting", ({ delay_ms }) => void delays.push(delay_ms));
    connection.open();
    await clock.advance(10_000);
    expect(delays).toEqual([100, 200, 400, 400, 400]);
    expect(connection.state).toMatchObject({ status: "failed", attempts: 6 });
    expect(peers).toHaveLength(6);
    accept = true;
    connection.tryNow();
    await settled();
    expect(connection.state.status).toBe("open");
    expect(events.slice(-3)).toEqual(["failed", "connecting", "open"]);
  });

  it("keeps what was queued while it had failed", async () => {
    let accept = false;
    const { connection, clock, heard } = bench({ policy: { reconnect: quick } }, (peer) => (accept ? peer.accept() : peer.cut()));
    connection.open();
    await clock.advance(10_000);
    connection.send({ text: "kept" });
    accept = true;
    connection.tryNow();
    await settled();
    expect(heard.at(-1)).toEqual([{ text: "kept" }]);
  });

  it("takes a part of the delay by chance", async () => {
    const { connection, clock } = bench({ policy: { reconnect: { ...quick, jitter: 0.5 } } }, (peer) => peer.cut());
    clock.chance = 0.5;
    const delays: number[] = [];
    connection.on("reconnecting", ({ delay_ms }) => void delays.push(delay_ms));
    connection.open();
    await clock.advance(200);
    expect(delays[0]).toBe(75);
  });

  it("counts the attempts anew after a good while", async () => {
    const { connection, clock, peers } = await opened({ policy: { reconnect: quick } });
    const attempts: number[] = [];
    connection.on("reconnecting", ({ attempt }) => void attempts.push(attempt));
    for (let round = 0; round < 8; round += 1) {
      await clock.advance(1_500);
      last(peers).cut();
      await clock.advance(100);
    }
    expect(attempts).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
  });

  it("does not count anew for a server that hangs up at once", async () => {
    const { connection, clock } = bench({ policy: { reconnect: quick } }, (peer) => {
      peer.accept();
      peer.close(1011, "");
    });
    connection.open();
    await clock.advance(20_000);
    expect(connection.state.status).toBe("failed");
  });

  it("does what the close code says", async () => {
    const openings: unknown[] = [];
    const { connection, clock, peers } = await opened({
      policy: { reconnect: quick, close_codes: { 4001: "fatal", 4010: "retry", 4011: "resume" } },
      opening: (opening) => {
        openings.push(opening);
        return [];
      },
    });
    last(peers).close(4010, "");
    await clock.advance(100);
    last(peers).close(4011, "");
    await clock.advance(200);
    last(peers).close(4001, "bad id");
    await settled();
    expect(openings).toEqual([
      { reconnect: false, resume: false },
      { reconnect: true, resume: false },
      { reconnect: true, resume: true },
    ]);
    expect(connection.state).toMatchObject({ status: "closed", cause: { code: 4001, reason: "bad id" } });
  });

  it("ends with the link when it may not come back", async () => {
    const { connection, peers, events } = await opened({ policy: { reconnect: "never" } });
    last(peers).cut();
    await settled();
    expect(connection.state.status).toBe("closed");
    expect(events).toEqual(["connecting", "open", "closed"]);
  });

  it("tries at once when the page wakes, also after it gave up", async () => {
    const made = await opened({ policy: { reconnect: { ...quick, initial_ms: 60_000, max_ms: 60_000, max_attempts: 1 } } });
    last(made.peers).cut();
    await settled();
    expect(made.connection.state.status).toBe("waiting");
    made.wake();
    await settled();
    expect(made.connection.state.status).toBe("open");
    last(made.peers).cut();
    await settled();
    expect(made.connection.state.status).toBe("failed");
    made.wake();
    await settled();
    expect(made.connection.state.status).toBe("open");
  });

  it("counts down once a second", async () => {
    const { connection, clock, peers } = await opened({ policy: { reconnect: { ...quick, initial_ms: 2_500, max_ms: 2_500 } } });
    const left: number[] = [];
    connection.on("countdown", ({ remaining_ms }) => void left.push(remaining_ms));
    last(peers).cut();
    await clock.advance(2_500);
    expect(left.slice(0, 3)).toEqual([2_500, 1_500, 500]);
    expect(connection.state.status).toBe("open");
  });

  it("asks for the address before every attempt", async () => {
    let tickets = 0;
    const target = async (): Promise<string> => `wss://example.test/?ticket=${(tickets += 1)}`;
    const { clock, peers } = await opened({ target, policy: { reconnect: quick } });
    last(peers).cut();
    await clock.advance(100);
    expect(peers.map((peer) => peer.request.url)).toEqual(["wss://example.test/?ticket=1", "wss://example.test/?ticket=2"]);
  });

  it("ends when the credentials are refused, and opens again with others", async () => {
    let good = false;
    const target = async (): Promise<string> => {
      if (!good) throw new SchematicError("auth", "Enter a valid key");
      return "wss://example.test";
    };
    const { connection } = await opened({ target });
    expect(connection.state).toMatchObject({ status: "closed", cause: { error: { kind: "auth" } } });
    good = true;
    connection.open();
    await settled();
    expect(connection.state.status).toBe("open");
  });

  it("ignores what an older link still says", async () => {
    const { connection, clock, peers } = await opened({ policy: { reconnect: quick, heartbeat_ms: 100 } });
    const heard: Message[] = [];
    connection.on("message", (message) => void heard.push(message));
    const old = last(peers);
    await clock.advance(300);
    expect(peers.length).toBeGreaterThan(1);
    old.send('{"late":true}');
    old.close(4001, "late");
    await settled();
    expect(heard).toEqual([]);
    expect(connection.state.status).toBe("open");
  });
});

describe("signs of life", () => {
  it("gives up a link that is silent for two intervals", async () => {
    const { connection, clock, peers, events } = await opened({ policy: { heartbeat_ms: 30_000, reconnect: quick } });
    last(peers).freeze();
    await clock.advance(59_999);
    expect(connection.state.status).toBe("open");
    await clock.advance(101);
    expect(events).toEqual(["connecting", "open", "reconnecting", "connecting", "reconnected"]);
  });

  it("takes any frame for a sign of life", async () => {
    const { connection, clock, peers } = await opened({ policy: { heartbeat_ms: 1_000, reconnect: quick } });
    for (let second = 0; second < 10; second += 1) {
      last(peers).send("{}");
      await clock.advance(1_000);
    }
    expect(connection.state.status).toBe("open");
    expect(peers).toHaveLength(1);
  });

  it("answers the server's pings apart from the consumer", async () => {
    const heartbeat = { isBeat: (m: Message) => m["type"] === "ping", pong: (m: Message) => ({ type: "pong", n: m["n"] }) };
    const { connection, peers, heard } = await opened({ heartbeat });
    const seen: Message[] = [];
    connection.on("message", (message) => void seen.push(message));
    last(peers).send('{"type":"ping","n":7}');
    await settled();
    expect(seen).toEqual([]);
    expect(heard).toEqual([[{ type: "pong", n: 7 }]]);
  });

  it("pings at the interval that the server gives", async () => {
    const { connection, clock, heard, peers } = await opened({ heartbeat: { ping: () => ({ op: 1 }) } });
    connection.on("message", (message) => connection.setHeartbeat(Number(message["interval"])));
    last(peers).send('{"interval":5000}');
    await clock.advance(5_000);
    expect(heard).toEqual([[{ op: 1 }]]);
  });

  it("looks at once when the page wakes", async () => {
    const { connection, clock, peers, wake } = await opened({ policy: { heartbeat_ms: 30_000, reconnect: quick } });
    last(peers).freeze();
    await clock.advance(59_000);
    // As after a sleep of the machine: the time has passed, the timer has not run yet.
    clock.now = () => 70_000;
    wake();
    expect(connection.state.status).toBe("waiting");
  });
});

describe("the end", () => {
  it("hands back what was not sent", async () => {
    const { connection } = bench({}, () => undefined);
    let end: (Ending & { readonly unsent: readonly Message[] }) | undefined;
    connection.on("closed", (closed) => void (end = closed));
    connection.send({ n: 1 });
    const second = connection.send({ n: 2 });
    connection.send({ n: 3 });
    connection.open();
    expect(second.withdraw()).toBe(true);
    expect(second.withdraw()).toBe(false);
    connection.close();
    expect(end).toEqual({ code: 1000, reason: "", unsent: [{ n: 1 }, { n: 3 }] });
    expect(second.status).toBe("withdrawn");
    expect(() => connection.send({ n: 4 })).toThrow("closed");
  });

  it("does not wait for ever for the goodbye", async () => {
    const { connection, clock, peers } = await opened({ policy: { close_ms: 3_000 } });
    last(peers).freeze();
    connection.close();
    await clock.advance(2_999);
    expect(connection.state.status).toBe("closing");
    await clock.advance(1);
    expect(connection.state.status).toBe("closed");
  });

  it("leaves no timer behind", async () => {
    const { connection, clock, peers } = await opened({ policy: { heartbeat_ms: 1_000 } });
    last(peers).cut();
    await settled();
    connection.close();
    await settled();
    expect(clock.timers).toBe(0);
  });

  it("may be ordered by a listener, at any event", async () => {
    for (const name of ["connecting", "open", "reconnecting", "reconnected", "failed"] as const) {
      const made = bench({ policy: { reconnect: { ...quick, max_attempts: 1 } } });
      made.connection.on(name, () => made.connection.close());
      made.connection.open();
      await settled();
      made.peers.at(-1)?.cut();
      await made.clock.advance(1_000);
      made.peers.at(-1)?.cut();
      await made.clock.advance(50);
      made.peers.at(-1)?.cut();
      await made.clock.advance(5_000);
      const expected = name === "failed" ? ["open", "closed"] : ["closed"];
      expect(expected).toContain(made.connection.state.status);
      expect(made.clock.timers).toBe(0);
    }
  });

  it("goes on when a listener throws", async () => {
    const made = await opened();
    const thrown: unknown[] = [];
    const catcher = (error: unknown): void => void thrown.push(error);
    const earlier = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException").on("uncaughtException", catcher);
    made.connection.on("message", () => {
      throw new Error("listener");
    });
    const heard: Message[] = [];
    made.connection.on("message", (message) => void heard.push(message));
    last(made.peers).send('{"n":1}');
    await settled();
    process.removeAllListeners("uncaughtException");
    for (const listener of earlier) process.on("uncaughtException", listener);
    expect(heard).toEqual([{ n: 1 }]);
    expect(thrown).toHaveLength(1);
    expect(made.connection.state.status).toBe("open");
  });
});
