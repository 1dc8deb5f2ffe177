//! Cut lines and killed servers: two dialects at once, over the TypeScript clients, against the real server.
//!
//! What is read must be the numbers from 1 on: one that is missing, comes twice or out of order is seen.

import { expect, it } from "vitest";
import { webSocketTransport } from "@tidewire/schematic-runtime";
import WebSocket from "ws";
import { createWebSocketClient } from "../src/chat_service.js";
import { SessionChat, withPartial } from "../src/index.js";
import { Cutter, Server, freePort, pause } from "./server.js";

/** How long one answer is. */
const NUMBERS = 1_500;
const QUESTION = `${NUMBERS} numbers every 2 ms`;
const EXPECTED = Array.from({ length: NUMBERS }, (_, n) => `${n + 1} `).join("");
const transport = webSocketTransport({ socket: WebSocket as never, takesOptions: true });

interface Seen {
  answers: number;
  interrupted: number;
}

function setting(name: string, usual: number): number {
  return Number(process.env[name] ?? usual);
}

/** Keeps what was read, and fails when something is missing, comes twice or out of order. */
class Reading {
  text = "";
  take(text: string): void {
    if (!text.startsWith(this.text)) throw new Error(`${text.slice(-60)} forgets ${this.text.slice(-60)}`);
    if (!EXPECTED.startsWith(text)) throw new Error(`lost, doubled or out of order: …${text.slice(-60)}`);
    this.text = text;
  }
}

async function askTheChatService(url: string, name: string, wanted: () => boolean): Promise<Seen> {
  const client = createWebSocketClient(url, { transport, maxReconnectAttempts: Infinity, reconnectDelayMs: 5, maxReconnectDelayMs: 100 });
  const seen = { answers: 0, interrupted: 0 };
  while (wanted()) {
    const reading = new Reading();
    const finals: (string | undefined)[] = [];
    const faults: unknown[] = [];
    let ends = 0;
    await client.generateChatResponse(
      { userId: "ann", runId: `${name}-${seen.answers}`, messages: [{ role: "user", content: QUESTION }] },
      {
        onText: (text) => {
          try {
            reading.take(text);
          } catch (fault) {
            faults.push(fault);
          }
        },
        onFinal: ({ status }) => finals.push(status),
        onRun: ({ reset }) => reset && faults.push("a reset"),
        onEnd: () => (ends += 1),
      },
    );
    expect(faults).toEqual([]);
    expect([finals.length, ends]).toEqual([1, 1]);
    if (finals[0] === "interrupted") seen.interrupted += 1;
    else expect([finals[0], reading.text]).toEqual(["finished", EXPECTED]);
    seen.answers += 1;
  }
  console.info(name, client.metrics);
  client.close();
  return seen;
}

async function askTheSessionChat(url: string, name: string, wanted: () => boolean): Promise<Seen> {
  const policy = { reconnect: { initial_ms: 5, max_ms: 100, jitter: 0.5, max_attempts: Infinity, min_uptime_ms: 0 } };
  const chat = new SessionChat({ baseUrl: url, sessionId: name, transport, policy });
  const seen = { answers: 0, interrupted: 0 };
  while (wanted()) {
    const reading = new Reading();
    const status = await new Promise<string>((resolve, reject) => {
      let last = chat.position.seq;
      const off = chat.subscribe({
        frame: (frame) => {
          try {
            if ("seq" in frame && frame.seq !== undefined && frame.type !== "user") {
              if (frame.seq <= last) throw new Error(`${frame.type} ${frame.seq} came after ${last}`);
              last = frame.seq;
            }
            if (frame.type === "ready" && frame.reset) throw new Error("a reset");
            if (frame.type === "agent_partial") reading.take(withPartial(reading.text, frame));
            if (frame.type !== "agent") return;
            reading.take(frame.content);
            off();
            resolve(frame.status);
          } catch (fault) {
            off();
            reject(fault as Error);
          }
        },
      });
      chat.send(QUESTION);
    });
    if (status === "interrupted") seen.interrupted += 1;
    else expect([status, reading.text]).toEqual(["finished", EXPECTED]);
    seen.answers += 1;
  }
  chat.close();
  return seen;
}

// Everyday figures; TIDEWIRE_TEST_CUTS=1000 TIDEWIRE_TEST_RESTARTS=50 is what the project promises.
it("loses nothing over cut lines and killed servers, in two dialects at once", async () => {
  const cuts = setting("TIDEWIRE_TEST_CUTS", 60);
  const restarts = setting("TIDEWIRE_TEST_RESTARTS", 3);
  const seed = setting("TIDEWIRE_TEST_SEED", 20_261_121);
  const began = Date.now();
  const server = new Server(await freePort());
  await server.start();
  const line = await Cutter.before(server.port, seed);
  let over = false;
  const wanted = (): boolean => !over;
  const readers = Promise.all([
    askTheChatService(line.url, "cs0", wanted),
    askTheChatService(line.url, "cs1", wanted),
    askTheSessionChat(line.url, "sc0", wanted),
    askTheSessionChat(line.url, "sc1", wanted),
  ]);
  let failed: unknown;
  readers.catch((fault: unknown) => (failed = fault));
  const reach = async (count: number): Promise<void> => {
    while (line.cuts < count && failed === undefined) await pause(5);
  };
  for (let restart = 1; restart <= restarts && failed === undefined; restart += 1) {
    await reach(Math.floor((cuts * restart) / (restarts + 1)));
    await server.kill();
    await server.start();
  }
  await reach(cuts);
  line.calm = true;
  over = true;
  const seen = (await readers).reduce((a, b) => ({ answers: a.answers + b.answers, interrupted: a.interrupted + b.interrupted }));
  console.info(`seed ${seed}: ${line.cuts} cuts, ${line.inside} inside a frame, ${restarts} restarts, ${JSON.stringify(seen)}, ${Date.now() - began} ms`);
  line.close();
  await server.end();
  expect(line.cuts).toBeGreaterThanOrEqual(cuts);
  expect(line.inside * 3).toBeGreaterThan(line.cuts);
  expect(seen.answers).toBeGreaterThanOrEqual(4);
});
