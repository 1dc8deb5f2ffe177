//! The usage example of the design document, against the real server.

import { afterEach, expect, it, vi } from "vitest";
import WebSocket from "ws";
import { Server } from "./server.js";

const server = new Server(Number(process.env["TIDEWIRE_EXAMPLE_PORT"]));
afterEach(() => server.end());

it("runs as it was written", async () => {
  // Browsers and newer Nodes have it by themselves.
  vi.stubGlobal("WebSocket", WebSocket);
  const said: unknown[][] = [];
  vi.spyOn(console, "log").mockImplementation((...words: unknown[]) => void said.push(words));
  const errors = vi.spyOn(console, "error").mockImplementation(() => undefined);
  await server.start();
  await import("./usage_example.js");
  vi.restoreAllMocks();
  expect(errors).not.toHaveBeenCalled();
  expect(said.at(-1)).toEqual(["Chat session ended"]);
  const texts = said.filter(([what]) => what === "Received text:").map(([, text]) => String(text));
  expect(texts.length).toBeGreaterThan(0);
  expect(texts.at(-1)?.length).toBeGreaterThan(10);
  expect(said.filter(([what]) => what === "Chat session ended")).toHaveLength(1);
});
