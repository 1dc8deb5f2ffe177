//! What the tests share: a connection of plain JSON messages over a network and a clock that stand still.

import { Connection, type ConnectionOptions } from "../src/index.js";
import { ManualClock, memoryTransport, settled, type MemoryPeer } from "../src/testing.js";

export type Message = Record<string, unknown>;

export const json = {
  encode: (message: Message): string => JSON.stringify(message),
  decode: (frame: string | Uint8Array): Message => JSON.parse(String(frame)) as Message,
};

export interface Bench {
  connection: Connection<Message, Message>;
  clock: ManualClock;
  /** Every link that was opened, oldest first. */
  peers: MemoryPeer[];
  /** What the server got, link by link. */
  heard: Message[][];
  /** Names of the events, in order. */
  events: string[];
  wake: () => void;
}

/** A connection whose links `serve` answers; without it, every link is accepted. */
export function bench(options: Partial<ConnectionOptions<Message, Message>> = {}, serve?: (peer: MemoryPeer) => void): Bench {
  const clock = new ManualClock();
  const peers: MemoryPeer[] = [];
  const heard: Message[][] = [];
  let wake = (): void => undefined;
  const transport = memoryTransport((peer) => {
    const frames: Message[] = [];
    peers.push(peer);
    heard.push(frames);
    peer.onframe = (frame) => void frames.push(json.decode(frame));
    if (serve) serve(peer);
    else peer.accept(peer.request.protocols[0]);
  });
  const connection = new Connection<Message, Message>({
    codec: json,
    target: "wss://example.test/ws",
    transport,
    clock,
    wake: (awake) => {
      wake = awake;
      return () => (wake = () => undefined);
    },
    ...options,
  });
  const events: string[] = [];
  for (const name of ["connecting", "open", "reconnecting", "reconnected", "failed", "closing", "closed"] as const) {
    connection.on(name, () => void events.push(name));
  }
  return { connection, clock, peers, heard, events, wake: () => wake() };
}

/** The newest link. */
export function last(peers: MemoryPeer[]): MemoryPeer {
  const peer = peers.at(-1);
  if (!peer) throw new Error("no link was opened");
  return peer;
}

/** Opens the connection and waits until it is. */
export async function opened(options: Partial<ConnectionOptions<Message, Message>> = {}): Promise<Bench> {
  const made = bench(options);
  made.connection.open();
  await settled();
  return made;
}
