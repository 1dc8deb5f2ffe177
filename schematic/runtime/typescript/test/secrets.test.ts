//! Credentials travel encrypted or not at all, and never into errors.

import { describe, expect, it } from "vitest";
import { isLoopback, prepare, redact, type Target } from "../src/index.js";
import { settled } from "../src/testing.js";
import { bench } from "./support.js";

const attempt = { attempt: 1, reconnect: false, resume: false, signal: new AbortController().signal };

describe("plain text", () => {
  const refused: Target[] = [
    { url: "ws://example.test/?ticket=abc" },
    { url: "http://example.test/?api_key=abc" },
    { url: "ws://user:pass@example.test/" },
    { url: "ws://example.test/", headers: { Authorization: "Bearer abc" } },
    { url: "ws://example.test/", protocols: ["key.abc"], secrets: ["abc"] },
    { url: "ws://127.0.0.1.example.test/?ticket=abc" },
  ];
  it.each(refused)("refuses $url", async (target) => {
    await expect(prepare(target, attempt)).rejects.toMatchObject({ kind: "insecure", message: expect.not.stringContaining("abc") });
  });

  const allowed: Target[] = [
    { url: "wss://example.test/?ticket=abc" },
    { url: "ws://localhost:8000/?ticket=abc" },
    { url: "ws://127.0.0.1/?ticket=abc" },
    { url: "ws://[::1]:9/?ticket=abc" },
    { url: "ws://example.test/?page=2" },
  ];
  it.each(allowed)("accepts $url", async (target) => {
    await expect(prepare(target, attempt)).resolves.toBeDefined();
  });

  it("knows loopback by its names only", () => {
    expect(["localhost", "app.localhost", "127.0.0.1", "127.9.9.9", "[::1]"].every(isLoopback)).toBe(true);
    expect(["localhost.example", "128.0.0.1", "127.0.0.1.example", "10.0.0.1"].some(isLoopback)).toBe(false);
  });
});

describe("errors", () => {
  it("hide secrets as they are and percent-encoded", () => {
    expect(redact("at ?key=a%20b and a b", ["a b", ""])).toBe("at ?key=*** and ***");
  });

  it("hide what the close reason repeats", async () => {
    const { connection } = bench({ target: "wss://example.test/?ticket=s3cret" }, (peer) => {
      peer.accept();
      peer.close(1008, "ticket s3cret is stale");
    });
    connection.open();
    await settled();
    expect(connection.state).toMatchObject({ status: "closed", cause: { code: 1008, reason: "ticket *** is stale" } });
  });

  it("do not repeat an address that is not one", async () => {
    await expect(prepare("example.test?ticket=abc", attempt)).rejects.toThrow(expect.not.objectContaining({ message: expect.stringContaining("abc") }));
    await expect(prepare("ftp://example.test", attempt)).rejects.toThrow("ws:// or wss://");
  });
});
