//! The chat service's client: what is asked, what is told, and what survives a lost connection.

import { describe, expect, it } from "vitest";
import { ChatServiceError, createWebSocketClient, type ChatEvent, type WebSocketCallbacks } from "../src/chat_service.js";
import { ManualClock } from "../src/testing.js";
import { ChatServer } from "./support/chat_server.js";

const QUESTION = { userId: "user123", messages: [{ role: "user" as const, content: "Hello" }] };

function setUp(pieces: readonly string[] = ["He", "llo ", "you"], options = {}) {
  const clock = new ManualClock();
  const server = new ChatServer(clock, () => pieces);
  const client = createWebSocketClient("https://api.example.com/", { transport: server.transport, clock, wake: () => () => undefined, ...options });
  return { clock, server, client };
}

/** Callbacks that write down what was called. */
function recorder(): WebSocketCallbacks & { readonly calls: [string, unknown?][] } {
  const calls: [string, unknown?][] = [];
  return {
    calls,
    onText: (text) => calls.push(["text", text]),
    onSources: (sources) => calls.push(["sources", sources.length]),
    onWorkflowStep: (step) => calls.push(["step", step]),
    onFinal: (final) => calls.push(["final", final.executionTimeMs]),
    onError: (error) => calls.push(["error", error.code]),
    onEnd: () => calls.push(["end"]),
  };
}

describe("an answer", () => {
  it("is told by callbacks, in order, and settles at its end", async () => {
    const { clock, server, client } = setUp();
    const told = recorder();
    const done = client.generateChatResponse({ ...QUESTION, options: { enhanceWithContext: true } }, told);
    await clock.advance(1_000);
    await done;
    expect(told.calls).toEqual([["step", "retrieve"], ["sources", 1], ["text", "He"], ["text", "Hello "], ["text", "Hello you"], ["final", 0], ["end"]]);
    expect(server.received[0]).toMatchObject({ type: "new_chat", userId: "user123", options: { enhanceWithContext: true }, partials: "delta" });
    expect(client.metrics).toMatchObject({ attempts: 1, connects: 1, errors: 0, resumes: 0 });
  });

  it("is told as events too", async () => {
    const { clock, client } = setUp();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of client.chat(QUESTION)) seen.push(event.type);
    })();
    await clock.advance(1_000);
    await reading;
    expect(seen).toEqual(["run", "message", "workflow_step", "sources", "text", "text", "text", "final", "end"]);
  });

  it("is stopped, also when the wish was made while nothing was connected", async () => {
    const { clock, server, client } = setUp(Array.from({ length: 1_000 }, () => "x"));
    const told = recorder();
    const done = client.generateChatResponse(QUESTION, told);
    await clock.advance(100);
    server.offline = true;
    server.cut();
    client.stop();
    server.offline = false;
    await clock.advance(3_000);
    await done;
    expect(told.calls.at(-1)).toEqual(["end"]);
    expect(server.received.some(({ type }) => type === "stop")).toBe(true);
  });

  it("brings what was thought aloud once, as it comes or when it is read again", async () => {
    const { clock, server, client } = setUp(["~First ", "~this", "Hello"]);
    const heard = async (asking: (callbacks: WebSocketCallbacks) => Promise<void>): Promise<string> => {
      let thoughts = "";
      const done = asking({ onThinking: (more) => (thoughts += more) });
      await clock.advance(1_000);
      await done;
      return thoughts;
    };
    expect(await heard((callbacks) => client.generateChatResponse(QUESTION, callbacks))).toBe("First this");
    const runId = client.runId ?? "";
    server.collapse(runId);
    expect(await heard((callbacks) => client.resumeChatSession({ runId }, callbacks))).toBe("First this");
    expect(await heard((callbacks) => client.resumeChatSession({ runId, afterSeq: 4 }, callbacks))).toBe("");
  });

  it("brings the rest of what was thought aloud to who was cut off in the middle of it", async () => {
    const { clock, server, client } = setUp(["~First ", "~this ", "~and that", "Hello"]);
    let thoughts = "";
    const done = client.generateChatResponse(QUESTION, {
      onThinking: (more) => {
        if (thoughts === "") {
          server.cut();
          server.offline = true;
        }
        thoughts += more;
      },
    });
    await clock.advance(500);
    server.collapse(client.runId ?? "");
    server.offline = false;
    await clock.advance(5_000);
    await done;
    expect(thoughts).toBe("First this and that");
  });

  it("is followed by another on the same socket", async () => {
    const { clock, client } = setUp();
    const first = client.generateChatResponse(QUESTION, {});
    await clock.advance(1_000);
    await first;
    const told = recorder();
    const second = client.resumeChatSession({ runId: client.runId ?? "", newMessage: { role: "user", content: "And?" } }, told);
    await clock.advance(1_000);
    await second;
    expect(told.calls.filter(([name]) => name === "end")).toHaveLength(1);
    expect(told.calls.at(-3)).toEqual(["text", "Hello you"]);
    expect(client.metrics.connects).toBe(1);
  });

  it("is not disturbed by a callback that throws", async () => {
    const { clock, client } = setUp();
    const thrown: unknown[] = [];
    const keep = (error: unknown): void => void thrown.push(error);
    process.prependListener("uncaughtException", keep);
    const others = process.listeners("uncaughtException").filter((listener) => listener !== keep);
    for (const other of others) process.removeListener("uncaughtException", other);
    try {
      let ended = 0;
      const broken = (): never => {
        throw new Error("mine");
      };
      const done = client.generateChatResponse(QUESTION, { onText: broken, onEnd: () => (ended += 1) });
      await clock.advance(1_000);
      await done;
      expect(ended).toBe(1);
      expect(thrown.length).toBeGreaterThan(0);
    } finally {
      process.removeListener("uncaughtException", keep);
      for (const other of others) process.on("uncaughtException", other);
    }
  });
});

describe("a request", () => {
  const wrong: [string, unknown, string][] = [
    ["no user", { messages: QUESTION.messages }, "userId"],
    ["no messages", { userId: "u" }, "messages"],
    ["none in it", { userId: "u", messages: [] }, "messages"],
    ["a robot", { userId: "u", messages: [{ role: "robot", content: "x" }] }, "messages.0.role"],
    ["nothing said", { userId: "u", messages: [{ role: "user", content: " " }] }, "messages.0.content"],
    ["no question", { userId: "u", messages: [{ role: "assistant", content: "x" }] }, "messages.0.role"],
    ["a bad name", { ...QUESTION, runId: "a b" }, "runId"],
    ["too warm", { ...QUESTION, options: { temperature: 3 } }, "options.temperature"],
    ["too many tokens", { ...QUESTION, options: { maxTokens: 0 } }, "options.maxTokens"],
  ];
  it.each(wrong)("with %s fails with the member's path before anything is sent", async (_, request, field) => {
    const { server, client } = setUp();
    const failed = await client.generateChatResponse(request as never, {}).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(ChatServiceError);
    expect(failed).toMatchObject({ code: "invalid", field });
    expect(server.links).toBe(0);
  });

  it("names every member that is wrong", async () => {
    const { client } = setUp();
    const failed = await client.generateChatResponse({ userId: "", messages: [{ role: "robot" as never, content: "" }] }, {}).catch((e: unknown) => e);
    expect((failed as ChatServiceError).fields.map(({ path }) => path)).toEqual(["userId", "messages.0.role", "messages.0.content"]);
  });

  it("that is too large fails with a sentence", async () => {
    const { server, client } = setUp();
    const huge = { userId: "u", messages: [{ role: "user" as const, content: "x".repeat(1 << 20) }] };
    await expect(client.generateChatResponse(huge, {})).rejects.toMatchObject({ code: "too_large" });
    expect(server.links).toBe(0);
  });

  it("with a callback that is none fails with its name", async () => {
    const { client } = setUp();
    await expect(client.generateChatResponse(QUESTION, { onText: "loud" as never })).rejects.toMatchObject({ field: "onText" });
  });
});

describe("a lost connection", () => {
  it("is resumed after the last number that was seen, without gap or repeat", async () => {
    const words = Array.from({ length: 200 }, (_, n) => `w${n} `);
    const { clock, server, client } = setUp(words);
    const texts: string[] = [];
    const counted = { sources: 0, steps: 0, finals: 0, ends: 0 };
    const done = client.generateChatResponse(QUESTION, {
      onText: (text) => texts.push(text),
      onSources: () => (counted.sources += 1),
      onWorkflowStep: () => (counted.steps += 1),
      onFinal: () => (counted.finals += 1),
      onEnd: () => (counted.ends += 1),
    });
    for (let cut = 0; cut < 40; cut += 1) {
      await clock.advance(35);
      server.cut();
      await clock.advance(1_200);
    }
    await clock.advance(60_000);
    await done;
    const whole = words.join("");
    for (const [at, text] of texts.entries()) {
      expect(whole.startsWith(text)).toBe(true);
      if (at > 0) expect(text.length).toBeGreaterThan(texts[at - 1]?.length ?? 0);
    }
    expect(texts.at(-1)).toBe(whole);
    expect(counted).toEqual({ sources: 1, steps: 1, finals: 1, ends: 1 });
    expect(server.chats.get(client.runId ?? "")?.runs).toBe(1);
    expect(client.metrics.resumes).toBeGreaterThan(0);
  });

  it("before the first word asks the same again, which is answered once", async () => {
    const { clock, server, client } = setUp();
    server.offline = true;
    const told = recorder();
    const done = client.generateChatResponse(QUESTION, told);
    await clock.advance(500);
    server.offline = false;
    await clock.advance(10_000);
    await done;
    expect(told.calls.at(-1)).toEqual(["end"]);
    expect(server.chats.size).toBe(1);
  });

  it("comes back after delays that grow by half, and gives up after the attempts that were agreed", async () => {
    const { clock, server, client } = setUp(undefined, { maxReconnectAttempts: 4, reconnectDelayMs: 1_000, maxReconnectDelayMs: 2_000 });
    server.offline = true;
    clock.chance = 0.5;
    const told = recorder();
    const done = client.generateChatResponse(QUESTION, told).catch((error: unknown) => error);
    await clock.advance(0);
    const links: number[] = [0];
    for (let at = 0; at < 10_000; at += 100) {
      const before = server.links;
      await clock.advance(100);
      if (server.links > before) links.push(clock.now());
    }
    const gaps = links.slice(1).map((at, n) => at - (links[n] ?? 0));
    expect(gaps).toEqual([1_000, 1_500, 2_000, 2_000]);
    expect(await done).toMatchObject({ code: "connection" });
    expect(told.calls).toEqual([["error", "connection"], ["end"]]);
    expect(client.metrics).toMatchObject({ attempts: 5, connects: 0 });
  });

  it.each([[0, 1_150], [1, 850]])("with chance %d waits %d ms: fifteen percent to each side", async (chance, delay) => {
    const { clock, server, client } = setUp();
    server.offline = true;
    clock.chance = chance;
    void client.generateChatResponse(QUESTION, {}).catch(() => undefined);
    await clock.advance(delay - 10);
    expect(server.links).toBe(1);
    await clock.advance(20);
    expect(server.links).toBe(2);
  });

  it("is not restored where nobody wants it", async () => {
    const { clock, server, client } = setUp(undefined, { autoReconnect: false });
    const told = recorder();
    const done = client.generateChatResponse(QUESTION, told).catch((error: unknown) => error);
    await clock.advance(15);
    server.cut();
    await clock.advance(60_000);
    expect(await done).toBeInstanceOf(ChatServiceError);
    expect(server.links).toBe(1);
  });

  it("tells when the server knows the place no more, and everything comes again", async () => {
    const { clock, server, client } = setUp();
    const told: ChatEvent[] = [];
    const reading = (async () => {
      for await (const event of client.chat(QUESTION)) told.push(event);
    })();
    await clock.advance(15);
    for (const chat of server.chats.values()) chat.epoch = 2;
    server.cut();
    await clock.advance(10_000);
    await reading;
    const resets = told.filter((event) => event.type === "run" && event.run.reset);
    expect(resets).toHaveLength(1);
    expect(told.findLast((event) => event.type === "text")).toMatchObject({ text: "Hello you" });
    expect(told.filter(({ type }) => type === "end")).toHaveLength(1);
  });

  it("of a server that goes away is no error: the next one answers", async () => {
    const { clock, server, client } = setUp();
    server.refusing = "draining";
    const told = recorder();
    const done = client.generateChatResponse(QUESTION, told);
    await clock.advance(50);
    expect(told.calls).toEqual([]);
    server.refusing = undefined;
    server.close(1012);
    await clock.advance(10_000);
    await done;
    expect(told.calls.some(([name]) => name === "error")).toBe(false);
    expect(told.calls.at(-1)).toEqual(["end"]);
  });
});

describe("a chat that is resumed", () => {
  it("is told from where it was, and ends", async () => {
    const { clock, server, client } = setUp();
    const first = client.generateChatResponse({ ...QUESTION, runId: "c" }, {});
    await clock.advance(1_000);
    await first;
    for (const [afterSeq, expected] of [[0, "Hello you"], [4, "llo you"], [99, "Hello you"]] as const) {
      const other = createWebSocketClient("https://api.example.com", { transport: server.transport, clock, wake: () => () => undefined });
      const told = recorder();
      const done = other.resumeChatSession({ runId: "c", afterSeq }, told);
      await clock.advance(1_000);
      await done;
      const text = told.calls.filter(([name]) => name === "text").at(-1)?.[1] as string;
      expect(text.endsWith(expected)).toBe(true);
      expect(told.calls.filter(([name]) => name === "end")).toHaveLength(1);
      other.close();
    }
  });

  it("and is not there is an error, and ends", async () => {
    const { clock, client } = setUp();
    const told = recorder();
    const done = client.resumeChatSession({ runId: "never" }, told);
    await clock.advance(1_000);
    await done;
    expect(told.calls).toEqual([["error", "not_found"], ["end"]]);
  });
});

it("ends what is awaited when it is closed", async () => {
  const { clock, client } = setUp();
  const told = recorder();
  const done = client.generateChatResponse(QUESTION, told);
  await clock.advance(15);
  client.close();
  await done;
  expect(told.calls.at(-1)).toEqual(["end"]);
});

it("passes over what it does not know", async () => {
  const { clock, server, client } = setUp();
  const told = recorder();
  const done = client.generateChatResponse(QUESTION, told);
  await clock.advance(15);
  server.say({ type: "fireworks", data: { colour: "red" } });
  server.say({ nothing: true });
  await clock.advance(1_000);
  await done;
  expect(told.calls.some(([name]) => name === "error")).toBe(false);
});
