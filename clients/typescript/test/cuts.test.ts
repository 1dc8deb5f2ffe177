//! Whatever is cut, whenever: every message runs once, every frame is shown once, every text is whole.

import { expect, it } from "vitest";
import { SessionChat, withPartial, type ChatFrame } from "../src/index.js";
import { ManualClock, MemoryServer, type Step } from "../src/testing.js";

/** Numbers by chance, the same for the same seed. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function answer(content: string): Step[] {
  const pieces = Array.from({ length: 40 }, (_, n): Step => ({ text: `${content}${n} ` }));
  pieces.splice(10, 0, { reasoning: "hm" }, { tool: "list_tables", result: { tables: 2 } });
  return pieces;
}

interface Shown {
  readonly text: Map<string, string>;
  readonly numbers: Set<string>;
}

/** Keeps what a reader sees, and fails when something comes twice or out of order. */
function show(frame: ChatFrame, shown: Shown): void {
  if (frame.type === "ready" && frame.reset) {
    shown.text.clear();
    shown.numbers.clear();
  }
  if ("seq" in frame && frame.seq !== undefined && frame.type !== "user") {
    const key = `${frame.type} ${frame.seq}`;
    expect(shown.numbers.has(key)).toBe(false);
    shown.numbers.add(key);
  }
  if (frame.type === "agent_partial") shown.text.set(frame.run_id, withPartial(shown.text.get(frame.run_id) ?? "", frame));
  if (frame.type === "agent") {
    const before = shown.text.get(frame.run_id) ?? "";
    expect(frame.content.startsWith(before)).toBe(true);
    shown.text.set(frame.run_id, frame.content);
  }
}

async function play(seed: number): Promise<{ cuts: number }> {
  const next = chance(seed);
  const clock = new ManualClock();
  const server = new MemoryServer({ answer, clock, timestamp: () => "2026-01-02T03:04:05Z", overlap: seed % 4 });
  const chat = new SessionChat({
    baseUrl: "ws://localhost",
    sessionId: "s",
    transport: server.transport,
    clock,
    wake: () => () => undefined,
    policy: { reconnect: { initial_ms: 20, max_ms: 20, jitter: 0, max_attempts: 1_000, min_uptime_ms: 0 }, heartbeat_ms: 0 },
  });
  const shown: Shown = { text: new Map(), numbers: new Set() };
  const faults: unknown[] = [];
  chat.subscribe({
    frame: (frame) => {
      try {
        show(frame, shown);
      } catch (fault) {
        faults.push(fault);
      }
    },
  });
  const said: string[] = [];
  let cuts = 0;
  for (let turn = 0; turn < 120; turn += 1) {
    const dice = next();
    if (dice < 0.05 && said.length < 8) {
      said.push(`question${said.length}-`);
      chat.send(said.at(-1) ?? "");
      // What is under way is lost with the link.
      if (next() < 0.5) server.cut();
    } else if (dice < 0.2) {
      cuts += 1;
      server.cut();
    } else if (dice < 0.23) server.loseTail();
    else if (dice < 0.26) server.close(1012, "restart");
    else if (dice < 0.3) server.offline = !chat.outbox.length;
    else if (dice < 0.35) server.offline = false;
    await clock.advance(Math.floor(next() * 60));
  }
  server.offline = false;
  await clock.advance(10_000);
  expect(faults).toEqual([]);
  const answers = server.session("s").answers.map((body) => body["content"]);
  expect(answers).toEqual(said.map((content) => Array.from({ length: 40 }, (_, n) => `${content}${n} `).join("")));
  expect([...shown.text.values()]).toEqual(answers);
  expect(chat.outbox).toEqual([]);
  return { cuts };
}

it("holds for 300 conversations by chance", { timeout: 120_000 }, async () => {
  let cuts = 0;
  for (let seed = 1; seed <= 300; seed += 1) {
    try {
      cuts += (await play(seed)).cuts;
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  expect(cuts).toBeGreaterThan(1_000);
});
