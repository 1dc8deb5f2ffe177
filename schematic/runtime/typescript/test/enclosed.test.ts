//! Messages in an envelope: what answers what, when several are asked at once.

import { expect, it } from "vitest";
import { TalkClient } from "../../../gen/tests/golden/envelope/enveloped.js";
import { ManualClock, memoryTransport, settled, type MemoryPeer } from "../src/testing.js";

it("gives each request an id of its own, so that answers in another order reach their askers", async () => {
  const peers: MemoryPeer[] = [];
  const heard: { messageId: unknown; payload: { collection: string } }[] = [];
  const transport = memoryTransport((peer) => {
    peers.push(peer);
    peer.onframe = (frame) => void heard.push(JSON.parse(String(frame)));
    peer.accept();
  });
  const talk = new TalkClient({}, { transport, clock: new ManualClock(), wake: () => () => undefined });
  talk.open();
  const replies = Promise.all(["a", "b", "c"].map((collection) => talk.findReply({ collection })));
  await settled();
  expect(new Set(heard.map(({ messageId }) => messageId)).size).toBe(3);
  for (const { messageId, payload } of [...heard].reverse()) {
    peers[0]?.send(JSON.stringify({ type: "Success", messageId, payload: { data: payload.collection } }));
  }
  expect(await replies).toMatchObject([{ body: { data: "a" } }, { body: { data: "b" } }, { body: { data: "c" } }]);
});
