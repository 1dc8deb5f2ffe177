//! A conversation over real sockets that are cut again and again.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import { SessionChat, webSocketTransport, withPartial, type ChatFrame } from "../src/index.js";
import { MemoryServer, type MemoryPeer } from "../src/testing.js";

const words = Array.from({ length: 200 }, (_, n) => `word${n} `);

/** The scripted server behind real sockets; `cut` ends all of them without a word. */
async function listen(memory: MemoryServer): Promise<{ port: number; cut: () => void; close: () => void }> {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http });
  sockets.on("connection", (socket, request) => {
    const peer: MemoryPeer = {
      request: { url: `ws://localhost${request.url}`, protocols: [], headers: {} },
      accept: () => undefined,
      send: (frame) => socket.send(frame),
      close: (code, reason) => socket.close(code, reason),
      cut: () => socket.terminate(),
      freeze: () => socket.pause(),
      onframe: () => undefined,
      onclosed: () => undefined,
    };
    socket.on("message", (data) => peer.onframe(String(data)));
    socket.on("close", (code, reason) => peer.onclosed(code, String(reason)));
    memory.session(String(request.url?.split("/").at(-1))).join(peer, () => undefined);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const cut = (): void => sockets.clients.forEach((socket) => socket.terminate());
  return { port: (http.address() as AddressInfo).port, cut, close: () => (cut(), http.close()) };
}

it("is whole after any number of cuts", { timeout: 30_000 }, async () => {
  const memory = new MemoryServer({ answer: () => words.map((text) => ({ text })), step_ms: 1 });
  const server = await listen(memory);
  const chat = new SessionChat({
    baseUrl: `http://127.0.0.1:${server.port}`,
    sessionId: "s-1",
    transport: webSocketTransport({ socket: WebSocket as never, takesOptions: true }),
    policy: { reconnect: { initial_ms: 1, max_ms: 5, jitter: 0.5, max_attempts: 1_000, min_uptime_ms: 0 } },
  });
  let text = "";
  let pieces = 0;
  let links = 0;
  const answer = new Promise<ChatFrame>((resolve) => {
    chat.subscribe({
      status: ({ state }) => void (links += state === "online" ? 1 : 0),
      frame: (frame) => {
        if (frame.type === "agent") resolve(frame);
        if (frame.type !== "agent_partial") return;
        text = withPartial(text, frame);
        pieces += 1;
        if (pieces % 20 === 0) server.cut();
      },
    });
  });
  chat.send("Tell me everything");
  expect(await answer).toMatchObject({ content: words.join(""), status: "finished" });
  expect(words.join("").startsWith(text)).toBe(true);
  expect(links).toBeGreaterThan(3);
  expect(chat.outbox).toEqual([]);
  expect(memory.session("s-1").runs).toBe(1);
  chat.close();
  server.close();
});
