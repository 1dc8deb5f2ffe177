//! The written conversations of the dialects, read and written with the generated types.

import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import * as chatService from "../src/generated/chat_service.js";
import * as sessionChat from "../src/generated/session_chat.js";

/** The frame with values in place of the names that stand for any. */
function filled(value: unknown): unknown {
  if (typeof value === "string" && value.startsWith("$")) return value.startsWith("$#") ? 7 : "any";
  if (Array.isArray(value)) return value.map(filled);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, filled(member)]));
}

/** Conversations that are about frames which no client of ours can write. */
const BAD = ["bad_frames.txt", "bad_requests.txt"];

describe.each([
  ["session_chat", sessionChat],
  ["chat_service", chatService],
] as const)("%s", (dialect, wire) => {
  const folder = new URL(`../../../crates/protocols/src/${dialect}/transcripts/`, import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith(".txt"));

  function lines(file: string, sign: string): string[] {
    const all = readFileSync(new URL(file, folder), "utf8").split("\n");
    return all.filter((line) => line.startsWith(`${sign} `)).map((line) => line.slice(2));
  }

  /** Frames that are written with all their members. */
  function whole(file: string): unknown[] {
    return lines(file, "<").filter((line) => !line.includes("…")).map((line) => filled(JSON.parse(line)));
  }

  it.each(files)("the server's side of %s is known frame by frame, and written as it was read", (file) => {
    for (const frame of whole(file)) {
      const message = wire.decodeServerMessage(JSON.stringify(frame));
      expect(message.name, JSON.stringify(frame)).not.toBe("Unknown");
      expect(JSON.parse(String(wire.encodeServerMessage(message as never)))).toEqual(frame);
    }
  });

  it.each(files.filter((file) => !BAD.includes(file)))("the client's side of %s is said with known messages", (file) => {
    for (const line of lines(file, ">")) {
      const message = wire.decodeClientMessage(line);
      expect(message.name, line).not.toBe("Unknown");
      expect(JSON.parse(String(wire.encodeClientMessage(message as never)))).toEqual(JSON.parse(line));
    }
  });

  it("covers most of what the server says", () => {
    const said = new Set(files.flatMap(whole).map((frame) => (frame as { type: string }).type));
    expect(said.size).toBeGreaterThanOrEqual(6);
  });
});
