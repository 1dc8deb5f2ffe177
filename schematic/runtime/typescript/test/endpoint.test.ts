//! An endpoint from plain data: its order, its address, its beats, its replies, and what it says again.

import { describe, expect, it } from "vitest";
import type { Endpoint, Named } from "../src/index.js";
import { settled } from "../src/testing.js";
import { endpointBench as bench, quick } from "./support.js";

describe("the order of a session", () => {
  const lifecycle = { initialize: "Init", close: "End", once: ["Once"] };
  const said = (endpoint: Endpoint<Named, Named>, ...names: string[]) => names.forEach((name) => endpoint.say({ name, body: {} }));

  it.each([
    [["Text"], "Text cannot be sent: send Init first"],
    [["End"], "End cannot be sent: send Init first"],
    [["Init", "Init"], "Init cannot be sent: the session is open already"],
    [["Init", "Once", "Once"], "Once cannot be sent: it may be sent only once"],
    [["Init", "End", "Text"], "Text cannot be sent: End has ended the session; begin a new one"],
    [["Init", "End", "Init"], "Init cannot be sent: End has ended the session; begin a new one"],
  ])("refuses %j", (names, sentence) => {
    const { endpoint } = bench({ lifecycle });
    expect(() => said(endpoint, ...names)).toThrow(expect.objectContaining({ kind: "lifecycle", message: sentence }));
  });

  it("takes what is in order, and begins anew after the end", async () => {
    const { endpoint, heard } = bench({ lifecycle });
    endpoint.open();
    said(endpoint, "Init", "Text", "Text", "Once", "End");
    await settled();
    expect(heard[0]?.map((frame) => frame["t"])).toEqual(["Init", "Text", "Text", "Once", "End"]);
    expect(endpoint.phase).toBe("closed");
    endpoint.close();
    await settled();
    expect(endpoint.phase).toBe("new");
  });

  it("does not move when the queue is full", () => {
    const { endpoint } = bench({ lifecycle }, { policy: { outbound_messages: 0 } });
    expect(() => endpoint.say({ name: "Init", body: {} })).toThrow(expect.objectContaining({ kind: "full" }));
    expect(endpoint.phase).toBe("new");
  });
});

describe("the address", () => {
  const urlOf = async (made: ReturnType<typeof bench>): Promise<string | undefined> => {
    made.endpoint.open();
    await settled();
    return made.peers[0]?.request.url;
  };

  it("is made of template and parameters, encoded", async () => {
    expect(await urlOf(bench({}, {}, { room: "a b/c", page: 2, loud: false }))).toBe("wss://example.test/ws/a%20b%2Fc?page=2&loud=false");
    expect(await urlOf(bench({}, { baseUrl: "http://localhost:9/base/" }))).toBe("ws://localhost:9/base/ws/a%20b%2Fc");
  });

  it("carries the credential in the first way that the transport can", async () => {
    const auth = [{ header: "Authorization", prefix: "Bearer " }, { query: "ticket" }];
    expect(await urlOf(bench({ auth }, { credential: async () => "s" }))).toContain("?ticket=s");
    const native = bench({ auth }, { credential: "s", sendsHeaders: true });
    expect(await urlOf(native)).not.toContain("ticket");
    expect(native.peers[0]?.request.headers).toEqual({ Authorization: "Bearer s" });
    const offered = bench({ auth: [{ subprotocol: "key.", beside: ["v1"] }] }, { credential: "s" });
    await urlOf(offered);
    expect(offered.peers[0]?.request.protocols).toEqual(["v1", "key.s"]);
  });

  it("says when it cannot", async () => {
    const made = bench({ auth: [{ header: "Authorization" }] }, { credential: "s" });
    made.endpoint.open();
    await settled();
    expect(made.endpoint.connection.state).toMatchObject({ status: "closed", cause: { error: { kind: "auth" } } });
  });

  it("takes the first environment variable that is not empty", async () => {
    process.env["SCHEMATIC_TEST_A"] = "";
    process.env["SCHEMATIC_TEST_B"] = "from-env";
    expect(await urlOf(bench({ auth: [{ query: "key" }], env: ["SCHEMATIC_TEST_A", "SCHEMATIC_TEST_B"] }))).toContain("?key=from-env");
  });
});

describe("coming back", () => {
  it("says the opening and the live subscriptions again", async () => {
    const subscriptions = [{ message: "Subscribe", endedBy: "Unsubscribe", key: ["id"] }];
    const { endpoint, heard, cut } = bench({ lifecycle: { initialize: "Init" }, reconnect: { replay: { opening: true, subscriptions } } });
    endpoint.open();
    endpoint.say({ name: "Init", body: { v: 1 } });
    for (const id of [1, 2, 3]) endpoint.say({ name: "Subscribe", body: { id } });
    endpoint.say({ name: "Unsubscribe", body: { id: 2 } });
    endpoint.say({ name: "Text", body: {} });
    await settled();
    await cut();
    expect(heard[1]).toEqual([{ t: "Init", v: 1 }, { t: "Subscribe", id: 1 }, { t: "Subscribe", id: 3 }]);
  });

  const token = {
    message: "Resume",
    capture: [
      { name: "session", messages: ["Ready"], path: ["session"], into: ["d", "session_id"] },
      { name: "seq", messages: [], path: ["s"], into: ["d", "seq"] },
      { name: "url", messages: ["Ready"], path: ["url"], into: [] },
    ],
    url: "url",
  };

  it("resumes with what the server gave, where the server said", async () => {
    const { endpoint, heard, peers, tell, cut } = bench({ lifecycle: { initialize: "Init" }, reconnect: { token }, policy: { reconnect: quick, otherwise: "resume" } });
    endpoint.open();
    endpoint.say({ name: "Init", body: {} });
    await settled();
    await tell({ t: "Ready", session: "x", s: 1, url: "wss://resume.test/" });
    await tell({ t: "Data", s: 5 });
    await cut();
    expect(peers[1]?.request.url).toBe("wss://resume.test/");
    expect(heard[1]).toEqual([{ t: "Resume", d: { session_id: "x", seq: 5 } }]);
  });

  it("begins a new session where the close code says so", async () => {
    const { endpoint, heard, peers, tell, clock } = bench({ lifecycle: { initialize: "Init" }, reconnect: { token }, policy: { reconnect: quick, close_codes: { 4009: "retry" } } });
    endpoint.open();
    endpoint.say({ name: "Init", body: {} });
    await settled();
    await tell({ t: "Ready", session: "x", s: 1 });
    peers[0]?.close(4009);
    await clock.advance(10);
    expect(heard[1]).toEqual([{ t: "Init" }]);
  });
});

describe("beats and replies", () => {
  it("answers pings with what they echo", async () => {
    const heartbeats = [{ from: "server", ping: "Ping", pong: "Pong", echo: [{ ping: ["e", "id"], pong: ["id"] }] }] as const;
    const { endpoint, heard, tell } = bench({ heartbeats });
    const seen: string[] = [];
    endpoint.onMessage((message) => void seen.push(message.name));
    endpoint.open();
    await settled();
    await tell({ t: "Ping", e: { id: 7 } });
    expect(heard[0]).toEqual([{ t: "Pong", id: 7 }]);
    expect(seen).toEqual([]);
  });

  it("beats at the interval that the server gives", async () => {
    const heartbeats = [{ from: "client", ping: "Ping", pong: "Pong", given: { message: "Hello", path: ["d", "ms"] } }] as const;
    const { endpoint, heard, tell, clock } = bench({ heartbeats });
    endpoint.open();
    await settled();
    await tell({ t: "Hello", d: { ms: 1_000 } });
    await clock.advance(1_000);
    expect(heard[0]).toEqual([{ t: "Ping" }]);
  });

  it("waits for a server that speaks first", async () => {
    const { endpoint, heard, tell } = bench({ serverFirst: "Hello" });
    endpoint.open();
    endpoint.say({ name: "Text", body: {} });
    await settled();
    expect(heard[0]).toEqual([]);
    await tell({ t: "Hello" });
    expect(heard[0]).toEqual([{ t: "Text" }]);
  });

  const replies = {
    Ask: { messages: ["Answer"], errors: ["Failure"], request: ["id"], reply: ["id"] },
    Subscribe: { messages: ["Data"], until: ["End"], request: ["id"], reply: ["id"] },
    Text: { messages: ["Data"], count: 2 },
  };

  it("finds the reply to a request, good or bad", async () => {
    const { endpoint, tell } = bench({ replies });
    endpoint.open();
    await settled();
    const [one, two] = [1, 2].map((id) => endpoint.askOne({ name: "Ask", body: { id } }));
    await tell({ t: "Failure", id: 2 });
    await tell({ t: "Answer", id: 1 });
    expect([(await one)?.name, (await two)?.name]).toEqual(["Answer", "Failure"]);
    expect(() => endpoint.ask({ name: "Ping", body: {} })).toThrow("no reply");
  });

  it("gives several replies, counted or up to the last", async () => {
    const { endpoint, tell } = bench({ replies });
    endpoint.open();
    await settled();
    const all = async (from: AsyncIterable<Named>): Promise<unknown[]> => {
      const seen: unknown[] = [];
      for await (const message of from) seen.push(message.name);
      return seen;
    };
    const stream = all(endpoint.ask({ name: "Subscribe", body: { id: 1 } }));
    await tell({ t: "Data", id: 1 });
    await tell({ t: "End", id: 1 });
    expect(await stream).toEqual(["Data", "End"]);
    const counted = all(endpoint.ask({ name: "Text", body: {} }));
    await tell({ t: "Data" });
    await tell({ t: "Data" });
    expect(await counted).toEqual(["Data", "Data"]);
  });
});
