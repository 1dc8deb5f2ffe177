//! The same over real sockets.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import { Connection, webSocketTransport, type ConnectionOptions, type Link, type WebSocketConstructor } from "../src/index.js";
import { json, type Message } from "./support.js";

const socket = WebSocket as unknown as WebSocketConstructor;
let http: Server;
let sockets: WebSocketServer;
let url: string;

beforeEach(async () => {
  http = createServer();
  sockets = new WebSocketServer({ server: http });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/`;
});

afterEach(async () => {
  for (const client of sockets.clients) client.terminate();
  await new Promise((resolve) => http.close(resolve));
});

function connect(options: Partial<ConnectionOptions<Message, Message>> = {}): Connection<Message, Message> {
  const transport = webSocketTransport({ socket, takesOptions: true });
  const policy = { reconnect: { initial_ms: 1, max_ms: 1, jitter: 0, max_attempts: 3, min_uptime_ms: 0 } };
  return new Connection<Message, Message>({ codec: json, target: url, transport, policy, ...options });
}

function once<Name extends "message" | "reconnected" | "closed" | "failed">(connection: Connection<Message, Message>, name: Name): Promise<unknown> {
  return new Promise((resolve) => void connection.on(name, resolve as () => void));
}

describe("real sockets", () => {
  it("carry text and binary frames both ways", async () => {
    sockets.on("connection", (peer) => peer.on("message", (data) => peer.send(Buffer.from(data as Buffer), { binary: true })));
    const codec = { encode: json.encode, decode: (frame: string | Uint8Array) => json.decode(new TextDecoder().decode(frame as Uint8Array)) };
    const connection = connect({ codec });
    const reply = once(connection, "message");
    connection.open();
    connection.send({ text: "žluťoučký" });
    expect(await reply).toEqual({ text: "žluťoučký" });
    connection.close();
    expect(await once(connection, "closed")).toMatchObject({ code: 1000, unsent: [] });
  });

  it("carry headers and the subprotocol", async () => {
    const seen = new Promise<unknown[]>((resolve) => sockets.on("connection", (peer, request) => resolve([request.headers["authorization"], peer.protocol])));
    const connection = connect({ target: { url, protocols: ["v1"], headers: { authorization: "Bearer x" } } });
    await connection.opened();
    expect(await seen).toEqual(["Bearer x", "v1"]);
    connection.close();
    await once(connection, "closed");
  });

  it("carry ping frames both ways", async () => {
    const peer = new Promise<WebSocket>((resolve) => sockets.on("connection", resolve));
    const transport = webSocketTransport({ socket, takesOptions: true });
    const heard = { ping: (): void => undefined, pong: (_payload: string): void => undefined };
    const pinged = new Promise<void>((resolve) => (heard.ping = resolve));
    const answered = new Promise<string>((resolve) => (heard.pong = resolve));
    const link = await new Promise<Link>((resolve) => {
      const made = transport.connect({ url, protocols: [], headers: {} }, { ...heard, open: () => resolve(made), frame: () => undefined, closed: () => undefined });
    });
    link.ping?.("seven");
    expect(await answered).toBe("seven");
    (await peer).ping();
    await pinged;
    link.drop();
  });

  it("come back after the server has cut them, opening first", async () => {
    const heard: Message[][] = [];
    sockets.on("connection", (peer) => {
      const frames: Message[] = [];
      heard.push(frames);
      peer.on("message", (data) => {
        frames.push(json.decode(String(data)));
        if (heard.length === 1) peer.terminate();
        else peer.send('{"done":true}');
      });
    });
    const connection = connect({ opening: ({ reconnect }) => [{ hello: reconnect }] });
    const done = once(connection, "message");
    connection.open();
    await done;
    expect(heard).toEqual([[{ hello: false }], [{ hello: true }]]);
    connection.close();
    await once(connection, "closed");
  });

  it("fail with a sentence when nobody listens", async () => {
    const connection = connect({ target: "ws://127.0.0.1:1/" });
    const failed = once(connection, "failed");
    connection.open();
    expect(await failed).toMatchObject({ attempts: 4, cause: { code: 1006, reason: expect.stringContaining("ECONNREFUSED") } });
    connection.close();
  });

  it("fail when the upgrade is refused, without the credentials in the sentence", async () => {
    http.removeAllListeners("upgrade");
    http.on("upgrade", (_request, stream) => stream.end("HTTP/1.1 302 Found\r\nLocation: /?ticket=s3cret\r\n\r\n"));
    const connection = connect({ target: `${url}?ticket=s3cret` });
    const failed = once(connection, "failed");
    connection.open();
    expect(JSON.stringify(await failed)).not.toContain("s3cret");
    connection.close();
  });

  it("make a fast server wait for a slow loop", async () => {
    const count = 2_000;
    sockets.on("connection", (peer) => {
      for (let n = 0; n < count; n += 1) peer.send(JSON.stringify({ n, pad: "x".repeat(500) }));
    });
    const connection = connect({ policy: { inbound_messages: 64, inbound_full: "block", reconnect: "never" } });
    let next = 0;
    connection.open();
    for await (const message of connection) {
      expect(message["n"]).toBe(next);
      next += 1;
      if (next % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
      if (next === count) break;
    }
    expect(next).toBe(count);
    connection.close();
    await once(connection, "closed");
  });
});
