// @vitest-environment happy-dom
//! The hooks, in React's own renderer.

import { act, createElement, type ReactElement } from "react";
import { createRoot } from "react-dom/client";
import { beforeAll, expect, it } from "vitest";
import { createWebSocketClient } from "../src/chat_service.js";
import type { LiveData, WatchListener } from "../src/live_data.js";
import { useChat, useCollection, type UseChat, type UseChatOptions, type UseCollection } from "../src/react.js";
import { ManualClock } from "../src/testing.js";
import { ChatServer } from "./support/chat_server.js";

beforeAll(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
});

/** Renders a component of one hook; gives what the hook gave last. */
async function render<T>(hook: () => T): Promise<{ readonly last: () => T; readonly unmount: () => Promise<void> }> {
  let last: T | undefined;
  const Component = (): ReactElement | null => {
    last = hook();
    return null;
  };
  const root = createRoot(document.createElement("div"));
  await act(async () => root.render(createElement(Component)));
  return { last: () => last as T, unmount: () => act(async () => root.unmount()) };
}

function setUp() {
  const clock = new ManualClock();
  const server = new ChatServer(clock, (question) => ["About ", question]);
  const connect = () => createWebSocketClient("https://api.example.com", { transport: server.transport, clock, wake: () => () => undefined });
  const chat = (options: Partial<UseChatOptions> = {}) => render<UseChat>(() => useChat({ client: connect_once, userId: "ann", ...options }));
  const connect_once = connect();
  return { clock, server, connect, chat };
}

it("shows questions and answers with their sources, and lets one stop", async () => {
  const { clock, chat } = setUp();
  const { last } = await chat();
  expect(last()).toMatchObject({ messages: [], busy: false, runId: undefined });
  let asked: Promise<void> | undefined;
  await act(async () => void (asked = last().ask("keys")));
  expect(last().busy).toBe(true);
  await act(async () => clock.advance(1_000));
  await act(async () => asked);
  expect(last().busy).toBe(false);
  expect(last().messages.map(({ role, content }) => [role, content])).toEqual([["user", "keys"], ["assistant", "About keys"]]);
  expect(last().messages[1]).toMatchObject({ steps: ["retrieve"], sources: [{ title: "Keys" }], final: { executionTimeMs: 0 } });
  await act(async () => void (asked = last().ask("tokens")));
  await act(async () => clock.advance(15));
  await act(async () => last().stop());
  await act(async () => clock.advance(1_000));
  await act(async () => asked);
  expect(last().messages.at(-1)?.final?.status).toBe("stopped");
});

it("goes on with a chat that another tab began", async () => {
  const { clock, connect, chat } = setUp();
  const first = connect();
  const done = first.generateChatResponse({ userId: "ann", runId: "c", messages: [{ role: "user", content: "keys" }] }, {});
  await clock.advance(1_000);
  await done;
  const { last } = await chat({ client: connect(), runId: "c" });
  await act(async () => clock.advance(1_000));
  expect(last().messages.map(({ content }) => content)).toEqual(["keys", "About keys"]);
  expect(last().busy).toBe(false);
});

it("tells what is wrong", async () => {
  const { clock, chat } = setUp();
  const { last } = await chat({ runId: "never" });
  await act(async () => clock.advance(1_000));
  expect(last().error?.code).toBe("not_found");
  await act(async () => last().ask(" "));
  expect(last().error?.code).toBe("invalid");
});

it("keeps a collection as it is on the server, and stops watching when it goes", async () => {
  let listener: WatchListener = {};
  let stopped = 0;
  const records = [{ id: "a", n: 1 }];
  const data = {
    query: async () => [...records],
    watch: (_: string, told: WatchListener) => {
      listener = told;
      return { stop: () => void (stopped += 1) };
    },
  } as unknown as LiveData;
  const { last, unmount } = await render<UseCollection>(() => useCollection(data, "orders", { limit: 10 }));
  await act(async () => undefined);
  expect(last()).toMatchObject({ ready: true, live: false, records: [{ id: "a" }] });
  await act(async () => {
    listener.live?.(true);
    records.push({ id: "b", n: 2 });
    listener.change?.({ event: "insert", ids: ["b"], records: [], offset: 2 });
  });
  expect(last().live).toBe(true);
  expect(last().records.map(({ id }) => id)).toEqual(["a", "b"]);
  await act(async () => listener.refused?.(new Error("may not")));
  expect(last().error?.message).toBe("may not");
  await unmount();
  expect(stopped).toBe(1);
});
