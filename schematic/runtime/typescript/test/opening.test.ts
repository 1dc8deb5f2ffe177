//! How a session opens and comes back: who speaks first, what is waited for, what is said again, and where the credential goes.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { EndpointSpec, Ending, Named } from "../src/index.js";
import { settled } from "../src/testing.js";
import { endpointBench, quick } from "./support.js";

type Spec = Partial<EndpointSpec<Named, Named>>;

/** The server says hello, the client opens or resumes, the server accepts or refuses. */
const gateway: Spec = {
  lifecycle: { initialize: "Init" },
  serverFirst: "Hello",
  firstAck: { message: "Ready", refusedBy: ["Failure"], timeout_ms: 500 },
  policy: { reconnect: quick, otherwise: "resume" },
  auth: [
    { message: "Init", path: ["d", "token"] },
    { message: "Resume", path: ["d", "token"] },
  ],
  reconnect: {
    token: {
      message: "Resume",
      capture: [
        { name: "session", messages: ["Ready"], path: ["session"], into: ["d", "session"] },
        { name: "url", messages: ["Ready"], path: ["url"], into: [] },
      ],
      url: "url",
      done: "Answer",
    },
  },
};

/** A session that is open. */
async function ready(spec: Spec = gateway, options: Parameters<typeof endpointBench>[1] = { credential: "s3cret" }) {
  const made = endpointBench(spec, options);
  made.endpoint.open();
  made.endpoint.say({ name: "Init", body: { d: { token: "" } } });
  made.endpoint.say({ name: "Text", body: { n: 1 } });
  await settled();
  await made.tell({ t: "Hello" });
  await made.tell({ t: "Ready", session: "x", url: "wss://resume.test/" });
  return made;
}

describe("a session opens", () => {
  it("in the order of the definition: hello, opening, acknowledgement, the rest", async () => {
    const { endpoint, heard, tell } = endpointBench(gateway);
    endpoint.open();
    endpoint.say({ name: "Init", body: { d: {} } });
    endpoint.say({ name: "Text", body: {} });
    await settled();
    expect(heard[0]).toEqual([]);
    await tell({ t: "Hello" });
    expect(heard[0]).toEqual([{ t: "Init", d: {} }]);
    expect(endpoint.connection.state.status).toBe("open");
    await tell({ t: "Ready" });
    expect(heard[0]).toEqual([{ t: "Init", d: {} }, { t: "Text" }]);
  });

  it("also when its owner waits for the connection before speaking", async () => {
    const { endpoint, heard, tell } = endpointBench(gateway);
    const opened = endpoint.connection.opened();
    await settled();
    await tell({ t: "Hello" });
    await opened;
    endpoint.say({ name: "Init", body: {} });
    endpoint.say({ name: "Text", body: {} });
    await settled();
    expect(heard[0]).toEqual([{ t: "Init" }]);
  });

  it("in time or not at all", async () => {
    const { endpoint, tell, clock } = endpointBench(gateway);
    endpoint.open();
    endpoint.say({ name: "Init", body: {} });
    await settled();
    await tell({ t: "Hello" });
    await clock.advance(499);
    expect(endpoint.connection.state.status).toBe("open");
    await clock.advance(1);
    expect(endpoint.connection.state).toMatchObject({ status: "waiting", cause: { error: { kind: "timeout" } } });
  });

  it("not when the server says nothing", async () => {
    const { endpoint, clock, peers } = endpointBench({ ...gateway, policy: { reconnect: quick, connect_ms: 1_000 } });
    endpoint.open();
    await clock.advance(1_020);
    expect(peers).toHaveLength(2);
    expect(endpoint.connection.state.status).toBe("connecting");
  });

  it("not when it is refused", async () => {
    const { endpoint, tell } = endpointBench(gateway);
    const seen: string[] = [];
    endpoint.onMessage(({ name }) => void seen.push(name));
    endpoint.open();
    endpoint.say({ name: "Init", body: {} });
    await settled();
    await tell({ t: "Hello" });
    await tell({ t: "Failure" });
    expect(endpoint.connection.state).toMatchObject({ status: "closed", cause: { error: { kind: "auth" } } });
    expect(seen).toEqual(["Hello", "Failure"]);
  });
});

describe("a session comes back", () => {
  it("where the server said, counts as open when all was said, and delivers what was missed before that", async () => {
    const { endpoint, heard, peers, tell, cut } = await ready();
    const seen: string[] = [];
    endpoint.onMessage(({ name }) => void seen.push(name));
    await cut();
    endpoint.say({ name: "Text", body: { n: 2 } });
    await tell({ t: "Hello" });
    expect(heard[1]).toEqual([{ t: "Resume", d: { session: "x", token: "s3cret" } }]);
    await tell({ t: "Data" });
    expect([endpoint.connection.state.status, seen]).toEqual(["connecting", ["Hello", "Data"]]);
    await tell({ t: "Answer" });
    expect(endpoint.connection.state.status).toBe("open");
    expect(heard[1]?.at(-1)).toEqual({ t: "Text", n: 2 });
    expect(peers[1]?.request.url).toBe("wss://resume.test/");
  });

  it("anew, on the same link, when it cannot be taken up", async () => {
    const { endpoint, heard, tell, cut } = await ready();
    await cut();
    await tell({ t: "Hello" });
    await tell({ t: "Failure" });
    expect(heard[1]?.map(({ t }) => t)).toEqual(["Resume", "Init"]);
    await tell({ t: "Ready", session: "y" });
    expect(endpoint.connection.state.status).toBe("open");
  });

  it("at the first address when the close code says that the session is over", async () => {
    const { heard, peers, tell, clock } = await ready({ ...gateway, policy: { reconnect: quick, otherwise: "resume", close_codes: { 4009: "retry" } } });
    peers[0]?.close(4009);
    await clock.advance(10);
    expect(peers[1]?.request.url).toContain("example.test");
    await tell({ t: "Hello" });
    expect(heard[1]).toEqual([{ t: "Init", d: { token: "s3cret" } }]);
  });

  it("with its subscriptions only after the acknowledgement, and says nothing twice", async () => {
    const replay: Spec = {
      lifecycle: { initialize: "Init" },
      firstAck: { message: "Ready", refusedBy: [] },
      reconnect: { replay: { opening: true, subscriptions: [{ message: "Subscribe", key: ["id"] }] } },
    };
    const { endpoint, heard, peers, tell, cut, clock } = endpointBench(replay);
    endpoint.open();
    endpoint.say({ name: "Init", body: {} });
    endpoint.say({ name: "Subscribe", body: { id: 1 } });
    await settled();
    await tell({ t: "Ready" });
    expect(heard[0]).toEqual([{ t: "Init" }, { t: "Subscribe", id: 1 }]);
    peers[0]?.cut();
    await settled();
    // Said while there is no link: it waits in the queue, and is not said by the opening as well.
    endpoint.say({ name: "Subscribe", body: { id: 2 } });
    await clock.advance(10);
    expect(heard[1]).toEqual([{ t: "Init" }]);
    await tell({ t: "Ready" });
    expect(heard[1]).toEqual([{ t: "Init" }, { t: "Subscribe", id: 1 }, { t: "Subscribe", id: 2 }]);
    await cut();
    await tell({ t: "Ready" });
    expect(heard[2]).toEqual([{ t: "Init" }, { t: "Subscribe", id: 1 }, { t: "Subscribe", id: 2 }]);
  });

  it("and the replies to a subscription go on, while a question has to be asked again", async () => {
    const replies = {
      Subscribe: { messages: ["Data"], until: ["End"], request: ["id"], reply: ["id"] },
      Ask: { messages: ["Answer"], request: ["id"], reply: ["id"] },
    };
    const { endpoint, heard, tell, cut } = endpointBench({ replies, reconnect: { replay: { opening: false, subscriptions: [{ message: "Subscribe", key: ["id"] }] } } });
    await endpoint.connection.opened();
    const stream = endpoint.ask({ name: "Subscribe", body: { id: 1 } });
    const answer = expect(endpoint.askOne({ name: "Ask", body: { id: 2 } })).rejects.toMatchObject({ kind: "disconnected" });
    await tell({ t: "Data", id: 1, n: 1 });
    await cut();
    await answer;
    expect(heard[1]).toEqual([{ t: "Subscribe", id: 1 }]);
    await tell({ t: "Data", id: 1, n: 2 });
    await tell({ t: "End", id: 1 });
    const seen: unknown[] = [];
    for await (const { name } of stream) seen.push(name);
    expect(seen).toEqual(["Data", "Data", "End"]);
  });

  it("without an opening that still waits in the queue", async () => {
    const { endpoint, heard, peers, clock } = endpointBench({ lifecycle: { initialize: "Init" }, reconnect: { replay: { opening: true, subscriptions: [] } } });
    await endpoint.connection.opened();
    peers[0]?.cut();
    await settled();
    endpoint.say({ name: "Init", body: {} });
    await clock.advance(10);
    expect(heard[1]).toEqual([{ t: "Init" }]);
  });

  it("and only then does what was written and not confirmed meet its fate", async () => {
    const spec: Spec = {
      lifecycle: { initialize: "Init" },
      policy: { reconnect: quick, confirm: "pong" },
      idempotent: ["Ask"],
      reconnect: { replay: { opening: true, subscriptions: [{ message: "Subscribe", key: ["id"] }] } },
    };
    const { endpoint, heard, peers, cut } = endpointBench(spec);
    const unsent: unknown[] = [];
    endpoint.connection.on("reconnecting", (event) => unsent.push(...event.unsent));
    await endpoint.connection.opened();
    if (peers[0]) peers[0].onping = () => false;
    for (const name of ["Init", "Subscribe", "Text", "Ask"]) endpoint.say({ name, body: { id: 1 } });
    await settled();
    await cut();
    expect(unsent).toEqual([{ name: "Text", body: { id: 1 } }]);
    expect(heard[1]?.map(({ t }) => t)).toEqual(["Init", "Subscribe", "Ask"]);
  });
});

describe("a heartbeat", () => {
  const beat = { from: "client", ping: "Ping", pong: "Pong" } as const;

  it("carries what was captured, and null before", async () => {
    const heartbeats = [{ ...beat, carries: [{ name: "seq", into: ["d"] }] }];
    const reconnect = { token: { message: "Resume", capture: [{ name: "seq", messages: [], path: ["s"], into: ["s"] }] } };
    const { endpoint, heard, tell, clock } = endpointBench({ heartbeats, reconnect, policy: { heartbeat_ms: 1_000 } });
    endpoint.open();
    await clock.advance(1_000);
    await tell({ t: "Data", s: 7 });
    await clock.advance(1_000);
    expect(heard[0]).toEqual([{ t: "Ping", d: null }, { t: "Ping", d: 7 }]);
  });

  it("has ids that no other message has", async () => {
    const heartbeats = [{ ...beat, echo: [{ ping: ["id"], pong: ["id"] }] }];
    const { endpoint, heard, tell, clock } = endpointBench({ heartbeats, policy: { heartbeat_ms: 1_000, heartbeat_reply_ms: 500 } });
    endpoint.open();
    await settled();
    endpoint.say({ name: "Text", body: { id: 41 } });
    await clock.advance(1_000);
    await tell({ t: "Pong", id: 42 });
    endpoint.say({ name: "Text", body: { id: endpoint.nextId() } });
    await clock.advance(999);
    expect(heard[0]?.map(({ id }) => id)).toEqual([41, 42, 43]);
    expect(endpoint.connection.state.status).toBe("open");
  });

  it("answers who asks for its pong by hand", async () => {
    const { endpoint, tell } = endpointBench({ heartbeats: [beat], replies: { Ping: { messages: ["Pong"] } } });
    endpoint.open();
    await settled();
    const pong = endpoint.askOne({ name: "Ping", body: {} });
    await tell({ t: "Pong" });
    expect(await pong).toMatchObject({ name: "Pong" });
  });
});

describe("a credential in the first message", () => {
  it("is filled in for the wire alone", async () => {
    const { endpoint, heard } = await ready();
    expect(heard[0]?.[0]).toEqual({ t: "Init", d: { token: "s3cret" } });
    const sent: unknown[] = [];
    endpoint.connection.on("sent", (message) => void sent.push(message));
    let unsent: unknown;
    endpoint.connection.on("closed", (end) => void (unsent = end.unsent));
    endpoint.close();
    await settled();
    expect(JSON.stringify([sent, unsent])).not.toContain("s3cret");
  });

  it("comes back empty in what was not sent", () => {
    const { endpoint } = endpointBench(gateway, { credential: "s3cret" });
    let unsent: unknown;
    endpoint.connection.on("closed", (end) => void (unsent = end.unsent));
    endpoint.say({ name: "Init", body: { d: { token: "" } } });
    endpoint.close();
    expect(unsent).toEqual([{ name: "Init", body: { d: { token: "" } } }]);
  });

  it("does not replace one that is there, nor one that went another way", async () => {
    const own = endpointBench(gateway, { credential: "s3cret" });
    own.endpoint.open();
    own.endpoint.say({ name: "Init", body: { d: { token: "mine" } } });
    await settled();
    await own.tell({ t: "Hello" });
    expect(own.heard[0]).toEqual([{ t: "Init", d: { token: "mine" } }]);
    const header = await ready({ ...gateway, auth: [{ header: "X-Key" }, { message: "Init", path: ["d", "token"] }] }, { credential: "s3cret", sendsHeaders: true });
    expect(header.heard[0]?.[0]).toEqual({ t: "Init", d: { token: "" } });
    expect(header.peers[0]?.request.headers).toEqual({ "X-Key": "s3cret" });
  });

  it("is asked for again before every attempt", async () => {
    let asked = 0;
    const { heard, tell, cut } = await ready(gateway, { credential: () => `key-${(asked += 1)}` });
    await cut();
    await tell({ t: "Hello" });
    expect([heard[0]?.[0], heard[1]?.[0]]).toEqual([
      { t: "Init", d: { token: "key-1" } },
      { t: "Resume", d: { session: "x", token: "key-2" } },
    ]);
  });

  it("may not travel unencrypted", async () => {
    const { endpoint, peers } = await ready(gateway, { credential: "s3cret", baseUrl: "ws://example.test" });
    expect(endpoint.connection.state).toMatchObject({ status: "closed", cause: { error: { kind: "insecure" } } });
    expect(peers).toEqual([]);
  });
});

describe("an address that a call gives", () => {
  let server: Server | undefined;
  afterEach(async () => {
    server?.closeAllConnections();
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  });

  async function listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    server = createServer(answer);
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const call = { method: "POST", baseUrl: "https://api.test", path: "/v1/rooms/{room}/sign", query: ["ttl"], auth: { header: "Authorization", prefix: "Bearer " } };
  const signed: Spec = { auth: [{ call, path: ["data", "url"] }] };

  /** Opens until the connection is open, waits, or is over. */
  async function outcome(callBaseUrl: string, spec: Spec = signed, credential = "s3cret") {
    const made = endpointBench(spec, { credential, callBaseUrl }, { room: "a b", ttl: 60, page: 2 });
    const decided = new Promise<void>((resolve) => {
      for (const name of ["open", "reconnecting", "closed"] as const) made.endpoint.connection.on(name, () => resolve());
    });
    made.endpoint.open();
    await decided;
    return { ...made, state: made.endpoint.connection.state as { status: string; cause?: Ending } };
  }

  it("is asked for with the credential, which then stays out of the upgrade", async () => {
    const asked: unknown[] = [];
    const base = await listen((request, response) => {
      asked.push([request.method, request.url, request.headers.authorization]);
      response.end(JSON.stringify({ data: { url: "wss://signed.test/talk?sig=abc" } }));
    });
    const { peers, state } = await outcome(base);
    expect(asked).toEqual([["POST", "/v1/rooms/a%20b/sign?ttl=60", "Bearer s3cret"]]);
    expect(state.status).toBe("open");
    expect(peers[0]?.request).toMatchObject({ url: "wss://signed.test/talk?sig=abc&page=2", headers: {} });
  });

  it("is asked for anew before every attempt", async () => {
    let calls = 0;
    const base = await listen((_request, response) => response.end(JSON.stringify({ data: { url: `wss://signed.test/?sig=${(calls += 1)}` } })));
    const { peers, endpoint, clock } = await outcome(base);
    const again = new Promise((resolve) => void endpoint.connection.on("reconnected", resolve));
    peers[0]?.cut();
    await clock.advance(10);
    await again;
    expect(peers.map(({ request }) => new URL(request.url).searchParams.get("sig"))).toEqual(["1", "2"]);
  });

  it("is refused for good where the credential is, and tried again where the server fails", async () => {
    const statuses = [401, 503];
    const base = await listen((_request, response) => response.writeHead(statuses.shift() ?? 500).end("no s3cret here"));
    const refused = await outcome(base);
    expect(refused.state).toMatchObject({ status: "closed", cause: { error: { kind: "auth", received: "no *** here" } } });
    const failed = await outcome(base);
    expect(failed.state).toMatchObject({ status: "waiting", cause: { error: { kind: "connect", message: "The call for the address was answered with status 503" } } });
  });

  it.each(["{}", "not JSON", '{"data":{"url":"no address"}}', '{"data":{"url":7}}'])("is missed in %s", async (body) => {
    const { state } = await outcome(await listen((_request, response) => response.end(body)));
    expect(state.cause?.error).toMatchObject({ kind: "shape", message: "The answer to the call has no address at data.url", received: body });
  });

  it("is not looked for behind a redirect", async () => {
    const seen: unknown[] = [];
    const base = await listen((request, response) => {
      seen.push(request.url);
      response.writeHead(302, { location: "/elsewhere" }).end();
    });
    const { state } = await outcome(base);
    expect([state.status, seen.length]).toEqual(["waiting", 1]);
  });

  it("is not asked for unencrypted, and no secret of it appears in errors", async () => {
    const { state } = await outcome("http://api.test");
    expect(state).toMatchObject({ status: "closed", cause: { error: { kind: "insecure", message: "Use https:// for api.test: http:// would send the credentials unencrypted" } } });
  });

  it("is no longer waited for when the attempt is given up", async () => {
    let gone: () => void = () => undefined;
    const hungUp = new Promise<void>((resolve) => (gone = resolve));
    let here: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => (here = resolve));
    const base = await listen((_request, response) => {
      response.on("close", gone);
      here();
    });
    const { endpoint, clock } = endpointBench({ ...signed, policy: { reconnect: quick, connect_ms: 1_000 } }, { credential: "s3cret", callBaseUrl: base });
    endpoint.open();
    await asked;
    await clock.advance(1_000);
    await hungUp;
    expect(endpoint.connection.state.status).toBe("waiting");
    endpoint.close();
  });

  it("carries a user and a password in base64", async () => {
    const seen: unknown[] = [];
    const base = await listen((request, response) => {
      seen.push(request.headers.authorization);
      response.end(JSON.stringify({ data: { url: "wss://signed.test/" } }));
    });
    await outcome(base, { auth: [{ call: { ...call, auth: { header: "Authorization", prefix: "Basic " } }, path: ["data", "url"] }] }, "user:pässword");
    expect(seen).toEqual([`Basic ${Buffer.from("user:pässword").toString("base64")}`]);
  });
});
