//! Generated clients against the real mock server: syntheses and sessions that are cut, and servers that misbehave.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GatewayClient, type ServerMessage } from "../../../gen/tests/golden/discord/discord_gateway.js";
import { GraphqlClient } from "../../../gen/tests/golden/graphql_transport_ws/graphql_transport_ws.js";
import { HomeClient } from "../../../gen/tests/golden/home_assistant/home_assistant.js";
import { StreamTextToSpeechClient, type StreamTextToSpeechServerMessage as Heard } from "../../../gen/tests/golden/elevenlabs/eleven_labs.js";
import { RECEIVED_LIMIT, type Confirm, type Ending, type Named, type Outgoing, type SchematicError, type Unknown } from "../src/index.js";
import { sockets, startMock, type Mock } from "./mock.js";

const CHUNKS = 200;
const numbers = (first: number, last: number): number[] => Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => first + n);

/** The text of a chunk, and the bytes with which the mock answers it. */
const text = (n: number): string => `word${n} `;
const audio = (n: number): string => `audio ${n}\n`;

let elevenlabs: Mock;
let discord: Mock;

beforeAll(async () => {
  elevenlabs = await startMock("elevenlabs", "--credential", "s3cret");
  discord = await startMock("discord", "--credential", "s3cret", "--faults", "events=20");
}, 300_000);

afterAll(() => Promise.all([elevenlabs?.stop(), discord?.stop()]));

interface Synthesis {
  readonly audio: string[];
  readonly others: string[];
  readonly errors: SchematicError[];
  readonly outgoing: Outgoing<Named>[];
  readonly end: Ending & { readonly unsent: readonly Named[] };
}

function speaker(fault: string, options: ConstructorParameters<typeof StreamTextToSpeechClient>[1] = {}): StreamTextToSpeechClient {
  const params = { voice_id: "voice", model_id: "m", auto_mode: true };
  return new StreamTextToSpeechClient(params, { baseUrl: elevenlabs.url, credential: "s3cret", transport: sockets(fault), ...options });
}

/** Each piece of audio confirms a chunk, and the first one the opening as well. */
function answers(): (message: Heard | Unknown) => number {
  let heard = 0;
  return ({ name }) => {
    if (name === "FinalOutput") return 1;
    if (name !== "AudioOutput") return 0;
    heard += 1;
    return heard === 1 ? 2 : 1;
  };
}

/** Says everything at once, and listens to the end. */
async function synthesis(fault: string, confirm: Confirm): Promise<Synthesis> {
  const client = speaker(fault, { policy: { confirm }, confirms: answers() });
  const end = new Promise<Synthesis["end"]>((resolve) => void client.connection.on("closed", resolve));
  const errors: SchematicError[] = [];
  client.connection.on("error", (error) => void errors.push(error));
  const messages = client[Symbol.asyncIterator]();
  client.open();
  const outgoing = [
    client.initializeConnection({}),
    ...numbers(1, CHUNKS).map((n) => client.sendText({ text: text(n) })),
    client.closeConnection({}),
  ];
  const heard: Synthesis = { audio: [], others: [], errors, outgoing, end: await end };
  for await (const message of messages) {
    if (message.name === "AudioOutput" && message.body.audio) heard.audio.push(new TextDecoder().decode(message.body.audio));
    else heard.others.push(message.name);
  }
  return heard;
}

/** The chunks among messages, by their numbers. */
function chunks(messages: readonly Named[]): number[] {
  const texts = messages.filter(({ name }) => name === "SendText").map(({ body }) => (body as { text: string }).text);
  return texts.map((said) => Number(said.slice("word".length)));
}

/** After how many messages the link is cut, and how many chunks were answered by then. */
const CUTS = [
  [0, 0],
  [2, 1],
  [101, 100],
  [200, 199],
  [202, 200],
] as const;

describe("a synthesis of 200 chunks", () => {
  it.each(CUTS)("that is cut after %i messages gives each chunk's audio or the chunk", async (after, answered) => {
    const { audio: heard, outgoing, end } = await synthesis(`drop:${after}`, "answer");
    expect(heard).toEqual(numbers(1, answered).map(audio));
    expect(end.code).toBe(1006);
    expect(chunks(end.unsent)).toEqual(numbers(answered + 1, CHUNKS));
    const unsent = outgoing.filter(({ status }) => status === "unsent").map(({ message }) => message);
    expect(end.unsent).toEqual(unsent);
  });

  it.each(CUTS)("that is cut after %i messages hands back whatever no pong has confirmed", async (after, answered) => {
    const { audio: heard, outgoing, end } = await synthesis(`drop:${after}`, "pong");
    expect(heard).toEqual(numbers(1, answered).map(audio));
    // What is confirmed has arrived, and the rest comes back in order: nothing is missing between them.
    const sent = outgoing.filter(({ status }) => status === "sent").map(({ message }) => message);
    expect(sent.length).toBeLessThanOrEqual(after);
    expect([...sent, ...end.unsent]).toEqual(outgoing.map(({ message }) => message));
    expect(chunks(end.unsent).slice(-(CHUNKS - answered) || CHUNKS + 1)).toEqual(numbers(answered + 1, CHUNKS));
  });

  it("that is not cut is answered whole", async () => {
    for (const confirm of ["written", "pong", "answer"] as const) {
      const { audio: heard, others, errors, end } = await synthesis("delay=0", confirm);
      expect(heard).toEqual(numbers(1, CHUNKS).map(audio));
      expect(others).toEqual(["FinalOutput"]);
      expect([end.code, errors]).toEqual([1000, []]);
      if (confirm === "answer") expect(end.unsent).toEqual([]);
    }
  });
});

describe("a session of Discord", () => {
  it("is taken up again without a gap and without a repetition", async () => {
    const reconnect = { initial_ms: 5, max_ms: 5, jitter: 0, max_attempts: 5, min_uptime_ms: 0 };
    // The second link is lost as well, in the middle of what was missed.
    const transport = sockets("drop:7:sent", "drop:4:sent");
    const client = new GatewayClient({ v: 10, encoding: "json" }, { baseUrl: discord.url, credential: "s3cret", transport, policy: { reconnect } });
    const events: string[] = [];
    for (const name of ["open", "reconnecting", "reconnected"] as const) client.connection.on(name, () => void events.push(name));
    client.open();
    client.identify({ d: { token: "", intents: 1, properties: { os: "o", browser: "b", device: "d" } } });
    const seen: number[] = [];
    for await (const message of client) {
      const number = sequence(message);
      if (number !== undefined) seen.push(number);
      if (message.name === "Resumed") break;
    }
    expect(seen).toEqual(numbers(1, 22));
    // The state is that of the link, not of the replay: what was missed came before it counted as open.
    expect(events).toEqual(["open", "reconnecting", "reconnecting", "reconnected"]);
    expect(await client.heartbeatReply({ d: 22 })).toMatchObject({ name: "HeartbeatAck" });
    client.close();
  });

  function sequence(message: ServerMessage | Unknown): number | undefined {
    const { s } = ((message as Named).body ?? {}) as { s?: number | null };
    return s ?? undefined;
  }

  it("is opened anew where it cannot be taken up", async () => {
    const reconnect = { initial_ms: 5, max_ms: 5, jitter: 0, max_attempts: 5, min_uptime_ms: 0 };
    const client = new GatewayClient({ v: 10, encoding: "json" }, { baseUrl: discord.url, credential: "s3cret", transport: sockets("close=4009:1"), policy: { reconnect } });
    client.open();
    client.identify({ d: { token: "", intents: 1, properties: { os: "o", browser: "b", device: "d" } } });
    const ready: unknown[] = [];
    for await (const message of client) {
      if (message.name === "Ready") ready.push(message.body.d.session_id);
      if (ready.length === 2) break;
    }
    expect(new Set(ready).size).toBe(2);
    client.close();
  });
});

describe("a session that is said again", () => {
  const policy = { reconnect: { initial_ms: 5, max_ms: 5, jitter: 0, max_attempts: 5, min_uptime_ms: 0 } };

  it("waits for the acknowledgement of GraphQL before it subscribes, on every link", async () => {
    const mock = await startMock("graphql_transport_ws");
    const client = new GraphqlClient({}, { baseUrl: mock.url, transport: sockets("drop:1"), policy });
    client.open();
    client.connectionInit({});
    const seen: string[] = [];
    for await (const { name } of client.subscribeReplies({ id: "a", payload: { query: "{ x }" } })) seen.push(name);
    expect(seen).toEqual(["Next", "Complete"]);
    client.close();
    await mock.stop();
  }, 60_000);

  it("shakes hands with Home Assistant, and its subscription outlives the link", async () => {
    const mock = await startMock("home_assistant", "--credential", "s3cret");
    const client = new HomeClient({}, { baseUrl: mock.url, credential: "s3cret", transport: sockets("drop:2"), policy });
    client.open();
    client.auth({ access_token: "" });
    const events = client.subscribeEventsReplies({ id: client.nextId() });
    const reconnected = new Promise((resolve) => void client.connection.on("reconnected", resolve));
    const seen: string[] = [];
    for await (const { name } of events) {
      seen.push(name);
      if (seen.length === 4) break;
    }
    await reconnected;
    expect(seen).toEqual(["CommandResult", "Event", "CommandResult", "Event"]);
    expect(await client.pingReply({ id: client.nextId() })).toMatchObject({ name: "Pong", body: { id: 2 } });
    client.close();
    await mock.stop();
  }, 60_000);
});

describe("the credential", () => {
  it("reaches the upgrade from the environment variable of the definition", async () => {
    process.env["ELEVENLABS_API_KEY"] = "s3cret";
    const client = speaker("delay=0", { credential: undefined });
    await expect(client.connection.opened()).resolves.toBeUndefined();
    process.env["ELEVENLABS_API_KEY"] = "wrong-key";
    client.close();
    const refused = speaker("delay=0", { credential: undefined, policy: { reconnect: "never" } });
    const end = new Promise<Ending>((resolve) => void refused.connection.on("closed", resolve));
    refused.open();
    const { reason } = await end;
    expect(reason).not.toContain("wrong-key");
    expect(reason).toContain("401");
    delete process.env["ELEVENLABS_API_KEY"];
  });
});

describe("a server that misbehaves", () => {
  it.each([
    ["sends a message that nobody knows", "unknown:2", ["Unknown", "FinalOutput"], []],
    ["sends a stray binary frame", "binary:2", ["Unknown", "FinalOutput"], []],
    ["sends what is not JSON", "invalid:2", ["FinalOutput"], ["The server sent a frame that is not JSON"]],
    ["sends too much at once", "oversize:2", ["FinalOutput"], ["The server sent a frame of more than 16777216 bytes"]],
  ])("and %s is told, and the session goes on", async (_what, fault, others, sentences) => {
    const heard = await synthesis(fault, "answer");
    expect(heard.audio).toEqual(numbers(1, CHUNKS).map(audio));
    expect(heard.others).toEqual(others);
    expect(heard.errors.map(({ message }) => message)).toEqual(sentences);
    for (const { kind, received } of heard.errors) {
      expect(kind).toBe("shape");
      expect(received?.length).toBeGreaterThan(0);
      expect(received?.length).toBeLessThanOrEqual(RECEIVED_LIMIT);
    }
    expect(heard.end).toMatchObject({ code: 1000, unsent: [] });
  });

  it.each([
    ["sends text that is not UTF-8", "utf8:2", { code: 1006, error: { kind: "shape", message: "Invalid WebSocket frame: invalid UTF-8 sequence" } }],
    ["goes without a close frame", "drop:2", { code: 1006 }],
    ["closes with a code of its own", "close=4000:2", { code: 4000, reason: "as it was asked for" }],
  ])("and %s ends the session, with what was not answered", async (_what, fault, end) => {
    const heard = await synthesis(fault, "answer");
    expect(heard.end).toMatchObject(end);
    expect(heard.audio).toEqual([audio(1)]);
    expect(chunks(heard.end.unsent)).toEqual(numbers(2, CHUNKS));
  });
});
