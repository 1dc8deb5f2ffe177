//! Records and their changes over connections that come and go.

import { expect, it } from "vitest";
import { ManualClock, memoryTransport, settled, type MemoryPeer } from "@tidewire/schematic-runtime/testing";
import { LiveData, LiveDataError, type Change, type WatchOptions } from "../src/live_data.js";

type Frame = { type: string; messageId?: string; payload: Record<string, unknown> };

/** A server that answers as a test says and keeps what it was asked. */
function bench(answer: (frame: Frame, peer: MemoryPeer) => void) {
  const clock = new ManualClock();
  const asked: Frame[] = [];
  const peers: MemoryPeer[] = [];
  const transport = memoryTransport((peer) => {
    peers.push(peer);
    peer.accept();
    peer.onframe = (text) => {
      const frame = JSON.parse(String(text)) as Frame;
      asked.push(frame);
      answer(frame, peer);
    };
  });
  const live = new LiveData({ baseUrl: "https://example.test/", transport, clock, wake: () => () => undefined });
  return { live, clock, asked, peers };
}

const success = (peer: MemoryPeer, { messageId }: Frame, data: unknown) =>
  peer.send(JSON.stringify({ type: "Success", messageId, payload: { data, message_id: messageId } }));
const refusal = (peer: MemoryPeer, { messageId }: Frame, code: number, message: string) =>
  peer.send(JSON.stringify({ type: "Error", messageId, code, message }));
const subscribed = (offset: number, gap = false) => ({ subscribed: true, collection: "users", subscription_id: "sub_1", offset, gap });
const notice = (peer: MemoryPeer, event: string, offset: number, records: unknown, ids = ["u1"]) =>
  peer.send(JSON.stringify({
    type: "MutationNotification",
    payload: { collection: "users", event, record_ids: ids, records, timestamp: "2026-01-02T03:04:05Z", from_offset: offset, offset },
  }));

function watching(answer: (frame: Frame, peer: MemoryPeer) => void, options?: WatchOptions) {
  const told: unknown[] = [];
  const made = bench(answer);
  const watch = made.live.watch(
    "users",
    {
      change: ({ event, ids, offset }: Change) => told.push([event, ids.join(), offset]),
      reload: () => told.push("reload"),
      live: (live) => told.push(live ? "live" : "not live"),
      refused: (error) => told.push(error.message),
    },
    options,
  );
  return { ...made, told, watch };
}

it("gives records without the types that the wire writes beside their values", async () => {
  const { live, asked } = bench((frame, peer) =>
    success(peer, frame, [{ id: "u1", name: { type: "String", value: "Ada" }, tags: { type: "Array", value: [1] }, own: { type: "a", value: 1, more: 2 } }]));
  const records = await live.query("users", { sort: [{ field: "name" }], limit: 2 });
  expect(records).toEqual([{ id: "u1", name: "Ada", tags: [1], own: { type: "a", value: 1, more: 2 } }]);
  expect(asked[0]).toMatchObject({ type: "Query", payload: { collection: "users", sort: [{ field: "name" }], limit: 2 } });
  expect(asked[0]?.payload).not.toHaveProperty("filter");
});

it("gives each request its own answer, whatever their order", async () => {
  const waiting: [Frame, MemoryPeer][] = [];
  const { live, clock } = bench((frame, peer) => void waiting.push([frame, peer]));
  const both = Promise.all([live.get("users", "a"), live.get("users", "b")]);
  await clock.advance(10);
  for (const [frame, peer] of waiting.reverse()) success(peer, frame, { id: frame.payload["id"] });
  expect(await both).toEqual([{ id: "a" }, { id: "b" }]);
});

it("tells a refusal by its code and sentence, and silence as a timeout", async () => {
  const { live, clock } = bench((frame, peer) => {
    if (frame.type === "Update") refusal(peer, frame, 422, "age: must be an integer");
  });
  const refused = await live.update("users", "u1", { age: "x" }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(LiveDataError);
  expect(refused).toMatchObject({ code: 422, message: "age: must be an integer" });
  const silent = live.insert("users", {}).catch((error: unknown) => error);
  await clock.advance(60_000);
  expect(await silent).toMatchObject({ kind: "timeout" });
});

it("fails a write whose connection is lost, and does not send it again", async () => {
  const { live, clock, asked, peers } = bench(() => undefined);
  const lost = live.insert("users", { name: "Ada" }).catch((error: unknown) => error);
  await clock.advance(10);
  peers[0]?.cut();
  expect(await lost).toMatchObject({ kind: "disconnected" });
  await clock.advance(60_000);
  expect(peers.length).toBeGreaterThan(1);
  expect(asked.filter(({ type }) => type === "Insert")).toHaveLength(1);
});

it("goes on from the last offset after a reconnect, and tells each change once", async () => {
  let turn = 0;
  const { clock, told, peers, asked } = watching((frame, peer) => {
    turn += 1;
    success(peer, frame, subscribed(turn === 1 ? 40 : 41));
    if (turn === 1) notice(peer, "insert", 41, { id: "u1" });
    else for (const offset of [41, 42]) notice(peer, "update", offset, { id: "u1" });
  });
  await clock.advance(10);
  peers[0]?.cut();
  await clock.advance(10_000);
  expect(told).toEqual(["live", ["insert", "u1", 41], "not live", "live", ["update", "u1", 42]]);
  expect(asked.map(({ payload }) => payload["after_offset"])).toEqual([undefined, 41]);
});

it("notices a line that is dead without a word, and comes back", async () => {
  let deaf = false;
  const { clock, told, peers } = watching((frame, peer) => {
    if (!deaf) success(peer, frame, frame.type === "Subscribe" ? subscribed(1) : []);
  });
  await clock.advance(120_000);
  expect(told).toEqual(["live"]);
  deaf = true;
  await clock.advance(40_000);
  expect(told).toEqual(["live", "not live"]);
  expect(peers.length).toBeGreaterThan(1);
});

it("begins anew after a gap and says that everything has to be read again", async () => {
  const { clock, told, asked } = watching(
    (frame, peer) => {
      const first = frame.payload["after_offset"] !== undefined;
      success(peer, frame, frame.type === "Subscribe" ? subscribed(90, first) : { unsubscribed: true });
      if (first) peer.send(JSON.stringify({ type: "Snapshot", payload: { collection: "users", records: [{ id: "u1" }], last: true } }));
    },
    { afterOffset: 3 },
  );
  await clock.advance(10);
  expect(told).toEqual(["live", "reload"]);
  expect(asked.map(({ type }) => type)).toEqual(["Subscribe", "Unsubscribe", "Subscribe"]);
});

it("reads what comes in one breath with the confirmation, and nothing of the watch before", async () => {
  const { clock, told } = watching((frame, peer) => {
    notice(peer, "update", 7, { id: "u1" });
    success(peer, frame, subscribed(7));
    notice(peer, "update", 8, { id: "u1" });
  });
  await clock.advance(10);
  expect(told).toEqual(["live", ["update", "u1", 8]]);
});

it("is quiet after it was stopped, and the collection can be watched again", async () => {
  const { clock, told, peers, live, watch, asked } = watching((frame, peer) => success(peer, frame, subscribed(1)));
  await clock.advance(10);
  expect(() => live.watch("users", {})).toThrow("Stop the watch of users");
  watch.stop();
  if (peers[0]) notice(peers[0], "update", 2, { id: "u1" });
  live.watch("users", {});
  await settled();
  expect(told).toEqual(["live", "not live"]);
  expect(asked.map(({ type }) => type)).toEqual(["Subscribe", "Unsubscribe", "Subscribe"]);
});

it("says why a watch is refused", async () => {
  const { clock, told } = watching((frame, peer) => refusal(peer, frame, 403, "this key may not read users"));
  await clock.advance(10);
  expect(told).toEqual(["this key may not read users"]);
});
