//! A conversation over connections that come and go.

import { describe, expect, it } from "vitest";
import { SessionChat, withPartial, type ChatFrame, type ChatStatus, type OutboxItem, type SessionChatOptions } from "../src/index.js";
import { ManualClock, MemoryServer, settled, type MemoryServerOptions, type Step } from "../src/testing.js";

const words = (text: string): Step[] => text.split(/(?<= )/).map((word) => ({ text: word }));
const timestamp = (): string => "2026-01-02T03:04:05Z";

function bench(server: Partial<MemoryServerOptions> = {}, options: Partial<SessionChatOptions> = {}) {
  const clock = new ManualClock();
  const memory = new MemoryServer({ answer: words, clock, timestamp, ...server });
  let ids = 0;
  const made = () =>
    new SessionChat({
      baseUrl: "https://example.test/",
      sessionId: "s-1",
      transport: memory.transport,
      clock,
      wake: () => () => undefined,
      newId: () => `m-${(ids += 1)}`,
      policy: { reconnect: { initial_ms: 100, max_ms: 100, jitter: 0, max_attempts: 5, min_uptime_ms: 1_000 } },
      ...options,
    });
  const chat = made();
  const frames: ChatFrame[] = [];
  const statuses: ChatStatus[] = [];
  const outboxes: (readonly OutboxItem[])[] = [];
  const listen = () =>
    chat.subscribe({
      frame: (frame) => void frames.push(frame),
      status: (status) => void statuses.push(status),
      outbox: (items) => void outboxes.push(items),
    });
  return { chat, clock, memory, frames, statuses, outboxes, listen, another: made };
}

/** What a reader sees: the text of each run, put together from the frames. */
function texts(frames: readonly ChatFrame[]): Map<string, string> {
  const shown = new Map<string, string>();
  for (const frame of frames) {
    if (frame.type === "ready" && frame.reset) shown.clear();
    if (frame.type === "agent_partial") shown.set(frame.run_id, withPartial(shown.get(frame.run_id) ?? "", frame));
    if (frame.type === "agent") {
      // The whole answer is what the pieces have made.
      if (shown.has(frame.run_id)) expect(frame.content.startsWith(shown.get(frame.run_id) ?? "")).toBe(true);
      shown.set(frame.run_id, frame.content);
    }
  }
  return shown;
}

describe("a conversation", () => {
  it("resumes as its first frame, then says what waited", async () => {
    const { chat, clock, memory, frames, listen } = bench();
    const messageId = chat.send("one two three");
    expect(chat.outbox).toEqual([{ messageId, content: "one two three", status: "queued" }]);
    listen();
    await clock.advance(1_000);
    expect(memory.received).toEqual([
      { after_seq: 0, partials: "delta" },
      { content: "one two three", message_id: messageId },
    ]);
    expect(frames.map((frame) => frame.type)).toEqual(["ready", "user", "run", "agent_partial", "agent_partial", "agent_partial", "agent"]);
    expect(frames.at(-1)).toMatchObject({ content: "one two three", status: "finished" });
    expect(chat.outbox).toEqual([]);
  });

  it("tells the way of each message", async () => {
    const { chat, clock, outboxes, listen } = bench();
    listen();
    await settled();
    chat.send("hello");
    await clock.advance(100);
    expect(outboxes.map((items) => items.map((item) => item.status).join())).toEqual(["queued", "sent", "delivered"]);
    expect(chat.outbox).toEqual([]);
  });

  it("takes a message back while it waits, and not later", async () => {
    const { chat, memory, clock, listen } = bench();
    const first = chat.send("never said");
    const second = chat.send("said");
    expect(chat.withdraw(first)).toBe(true);
    listen();
    await settled();
    expect(chat.withdraw(second)).toBe(false);
    await clock.advance(1_000);
    expect(memory.session("s-1").answers.map((answer) => answer["content"])).toEqual(["said"]);
  });

  it("goes on where it was, with epoch, after each connection", async () => {
    const { chat, clock, memory, frames, listen } = bench();
    listen();
    chat.send("one two three four five six seven eight");
    await clock.advance(45);
    memory.cut();
    const { seq } = chat.position;
    expect(seq).toBeGreaterThan(3);
    await clock.advance(1_000);
    expect(memory.received.filter((frame) => "after_seq" in frame)).toEqual([
      { after_seq: 0, partials: "delta" },
      { after_seq: seq, epoch: 1, partials: "delta" },
    ]);
    expect([...texts(frames).values()]).toEqual(["one two three four five six seven eight"]);
  });

  it("says again what was not confirmed, and it runs once", async () => {
    const { chat, clock, memory, listen } = bench();
    listen();
    await settled();
    const messageId = chat.send("hello");
    memory.cut();
    await clock.advance(5_000);
    expect(memory.received.filter((frame) => frame["message_id"] === messageId).length).toBeGreaterThan(0);
    expect(memory.session("s-1").runs).toBe(1);
    expect(chat.outbox).toEqual([]);
  });

  it("does not queue an id twice", async () => {
    const { chat, clock, memory, listen } = bench();
    expect(chat.send("hello", { messageId: "mine" })).toBe("mine");
    expect(chat.send("hello", { messageId: "mine" })).toBe("mine");
    expect(chat.outbox).toHaveLength(1);
    listen();
    await clock.advance(1_000);
    expect(memory.received.filter((frame) => "content" in frame)).toHaveLength(1);
  });

  it("begins anew when the server says so", async () => {
    const { chat, clock, memory, frames, listen } = bench();
    listen();
    chat.send("one two");
    await clock.advance(1_000);
    memory.loseTail();
    await clock.advance(1_000);
    const at = frames.findLastIndex((frame) => frame.type === "ready");
    expect(frames[at]).toMatchObject({ reset: true, epoch: 2 });
    expect(frames.slice(at + 1).map((frame) => frame.type)).toEqual(["user", "agent"]);
    expect(chat.position.epoch).toBe(2);
  });

  it("gets the error of a failed run also when it is cut before it", async () => {
    const { chat, clock, memory, frames, listen } = bench({ answer: () => [{ text: "so far" }, { fail: { content: "The model is gone", code: "BACKEND_ERROR" } }] });
    listen();
    const off = chat.subscribe({ frame: (frame) => void (frame.type === "agent" && memory.cut()) });
    chat.send("hello");
    await clock.advance(50);
    expect(frames.at(-1)).toMatchObject({ type: "agent", status: "failed", content: "so far" });
    off();
    await clock.advance(1_000);
    memory.cut();
    await clock.advance(1_000);
    expect(frames.map((frame) => frame.type)).toEqual(["ready", "user", "run", "agent_partial", "agent", "ready", "error", "ready"]);
  });

  it("goes on from a position that was kept", async () => {
    const { chat, clock, another, listen } = bench();
    listen();
    chat.send("one two");
    await clock.advance(1_000);
    const later = another();
    expect(later.position).toEqual({ seq: 0 });
    const again = bench({}, { position: chat.position });
    again.listen();
    await settled();
    expect(again.memory.received[0]).toEqual({ after_seq: chat.position.seq, epoch: 1, partials: "delta" });
  });

  it("keeps a frame that it does not know", async () => {
    const { chat, clock, frames, listen } = bench({ answer: () => [{ final: { type: "novelty" } }] });
    listen();
    chat.send("hello");
    await clock.advance(1_000);
    expect(frames.at(-1)).toMatchObject({ type: "unknown", tag: "novelty" });
  });

  it("answers pings apart from the listener", async () => {
    const { clock, memory, frames, listen } = bench();
    listen();
    await settled();
    memory.session("s-1").ping();
    await clock.advance(0);
    expect(memory.received.at(-1)).toEqual({ type: "pong" });
    expect(frames.map((frame) => frame.type)).toEqual(["ready"]);
  });

  it("gives its frames to a loop, and ends it", async () => {
    const { chat, clock } = bench();
    const seen: string[] = [];
    const loop = (async () => {
      for await (const frame of chat.frames()) {
        seen.push(frame.type);
        if (frame.type === "agent") chat.close();
      }
    })();
    chat.send("hello");
    await clock.advance(1_000);
    await loop;
    expect(seen).toEqual(["ready", "user", "run", "agent_partial", "agent"]);
  });

  it("refuses what cannot be said", () => {
    const { chat } = bench();
    expect(() => chat.send("  ")).toThrow("Write something");
    expect(() => chat.send("x".repeat(1 << 20))).toThrow("Shorten the message");
    expect(() => chat.send("x", { messageId: "m".repeat(129) })).toThrow("Shorten the message id");
    // The server counts bytes: 65 of these characters are 130 of them.
    expect(() => chat.send("x", { messageId: "ü".repeat(65) })).toThrow("Shorten the message id");
    expect(chat.close()).toEqual([]);
    expect(() => chat.send("x")).toThrow("closed");
  });
});

describe("a call that a person must agree to", () => {
  const answer = () => [{ step: "run_tool" }, { ask: "git_commit", arguments: { message: "Tidy" }, result: { ok: true } }, { text: "Done." }] as const;
  const states = (frames: readonly ChatFrame[]) => frames.flatMap((frame) => (frame.type === "approval" ? [`${frame.state} ${frame.by ?? ""}`.trim()] : []));

  it("is asked about with its arguments, decided from another tab, and a second decision is refused", async () => {
    const { chat, clock, frames, listen, another } = bench({ answer });
    listen();
    chat.send("commit", { model: "m", confirmTools: ["git_commit"] });
    await clock.advance(1_000);
    const asked = frames.find((frame) => frame.type === "approval");
    expect(asked).toMatchObject({ state: "requested", tool_name: "git_commit", arguments: { message: "Tidy" } });
    const tab = another();
    const seen: ChatFrame[] = [];
    tab.subscribe({ frame: (frame) => void seen.push(frame) });
    await clock.advance(1_000);
    const callId = asked?.type === "approval" ? asked.call_id : "";
    expect(states(seen)).toEqual(["requested"]);
    expect(tab.decide(callId, true)).toBe(true);
    expect(chat.decide(callId, false)).toBe(true);
    await clock.advance(1_000);
    expect(states(frames)).toEqual(["requested", "approved local"]);
    expect(frames.filter((frame) => frame.type === "error")).toMatchObject([{ field: "call_id" }]);
    expect(texts(seen)).toEqual(texts(frames));
  });

  it("is not decided without a connection", async () => {
    const { chat, clock, memory, frames, listen } = bench({ answer });
    listen();
    chat.send("commit");
    await clock.advance(1_000);
    memory.offline = true;
    await clock.advance(10);
    const asked = frames.find((frame) => frame.type === "approval");
    expect(asked?.type === "approval" && chat.decide(asked.call_id, true)).toBe(false);
  });

  it("carries what is special about a message, also when it is sent again", async () => {
    const { chat, clock, memory, listen } = bench();
    memory.offline = true;
    listen();
    chat.send("a", { model: "m", agent: "explorer", confirmTools: ["t"] });
    expect(chat.outbox[0]?.options).toEqual({ model: "m", agent: "explorer", confirmTools: ["t"] });
    memory.offline = false;
    await clock.advance(1_000);
    const said = memory.received.filter((frame) => frame["content"] === "a");
    expect(said).toEqual([{ content: "a", message_id: "m-1", model: "m", agent: "explorer", confirm_tools: ["t"] }]);
  });
});

describe("stopping", () => {
  it("keeps what was written", async () => {
    const { chat, clock, frames, listen } = bench();
    listen();
    chat.send("one two three four five six");
    await clock.advance(45);
    expect(chat.runId).toBe("s-1-run-1");
    chat.stop();
    await clock.advance(1_000);
    expect(frames.at(-1)).toMatchObject({ type: "agent", status: "stopped", content: expect.stringMatching(/^one two/) });
    expect(chat.runId).toBeUndefined();
  });

  it("holds over a reconnect", async () => {
    const { chat, clock, memory, frames, listen } = bench({ answer: () => Array.from({ length: 500 }, () => ({ text: "." })) });
    listen();
    chat.send("go on for long");
    await clock.advance(100);
    memory.offline = true;
    chat.stop();
    await clock.advance(50);
    memory.offline = false;
    await clock.advance(1_000);
    expect(frames.at(-1)).toMatchObject({ type: "agent", status: "stopped" });
    memory.cut();
    await clock.advance(1_000);
    expect(memory.received.filter((frame) => "stop" in frame)).toHaveLength(1);
  });

  it("takes a queued run out", async () => {
    const { chat, clock, frames, listen } = bench({ step_ms: 50 });
    listen();
    chat.send("one two three");
    chat.send("four");
    await clock.advance(60);
    chat.stop("s-1-run-2");
    await clock.advance(1_000);
    expect(frames.filter((frame) => frame.type === "agent").map((frame) => frame.status)).toEqual(["stopped", "finished"]);
  });
});

describe("refusals", () => {
  it("mark the message, which is said again only when asked", async () => {
    const { chat, clock, memory, outboxes, listen } = bench({ queue: 1, step_ms: 100 });
    listen();
    await settled();
    for (const content of ["a", "b", "c"]) chat.send(content);
    await clock.advance(50);
    expect(chat.outbox).toEqual([{ messageId: "m-3", content: "c", status: "refused" }]);
    memory.cut();
    await clock.advance(2_000);
    expect(memory.session("s-1").runs).toBe(2);
    chat.send("c", { messageId: "m-3" });
    await clock.advance(2_000);
    expect(memory.session("s-1").runs).toBe(3);
    expect(outboxes.at(-1)?.at(-1)?.status).toBe("delivered");
  });

  it("end the attempts, and leave a way back", async () => {
    const { chat, clock, memory, statuses, listen } = bench();
    memory.refuse(4003, "Origin not allowed");
    chat.send("kept");
    listen();
    await clock.advance(10_000);
    expect(statuses.at(-1)).toMatchObject({ state: "refused", code: 4003, reason: "Origin not allowed" });
    expect(memory.links).toBe(1);
    chat.send("kept too");
    memory.refuse(undefined);
    chat.retryNow();
    await clock.advance(1_000);
    expect(statuses.at(-1)).toEqual({ state: "online" });
    expect(memory.session("s-1").answers.map((answer) => answer["content"])).toEqual(["kept", "kept too"]);
  });

  it("come for a malformed session id", async () => {
    const { clock, statuses, listen } = bench({}, { sessionId: "not an id" });
    listen();
    await clock.advance(1_000);
    expect(statuses.at(-1)).toMatchObject({ state: "refused", code: 4001 });
  });

  it("are not made of a network that is away: it fails after its attempts", async () => {
    const { chat, clock, memory, statuses, listen } = bench();
    memory.offline = true;
    chat.send("kept");
    listen();
    await clock.advance(10_000);
    expect(statuses.at(-1)).toMatchObject({ state: "failed", attempts: 6 });
    memory.offline = false;
    chat.retryNow();
    await clock.advance(1_000);
    expect(memory.session("s-1").runs).toBe(1);
  });
});

describe("the address", () => {
  it("is made of the server's, with a new ticket each time", async () => {
    let tickets = 0;
    const made = bench({}, { ticket: async () => `t-${(tickets += 1)}` });
    made.listen();
    await settled();
    made.memory.cut();
    await made.clock.advance(200);
    expect(tickets).toBe(2);
    expect(made.chat.status.state).toBe("online");
  });

  it("is refused without encryption when it carries a ticket", async () => {
    const made = bench({}, { baseUrl: "http://example.test", ticket: async () => "t-1" });
    made.listen();
    await settled();
    expect(made.chat.status).toMatchObject({ state: "refused", error: { kind: "insecure" } });
  });

  it("may be given whole", async () => {
    const made = bench({}, { url: "ws://localhost/elsewhere/s-9" });
    made.listen();
    await settled();
    expect(made.chat.status.state).toBe("online");
  });
});
