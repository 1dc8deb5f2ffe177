//! What the tests share: connections of plain JSON messages, and endpoints, over a network and a clock that stand still.

import { Connection, Endpoint, Messages, shape, type ConnectionOptions, type EndpointOptions, type EndpointSpec, type Named, type ParamValue } from "../src/index.js";
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

const NAMES = ["Init", "Text", "Once", "End", "Subscribe", "Unsubscribe", "Resume", "Ask", "Ping", "Pong", "Hello", "Ready", "Answer", "Failure", "Data"];
const table = new Messages<Named>(
  NAMES.map((name) => ({ name, body: shape.map(shape.json), tests: [{ path: ["t"], value: name }], writes: { t: name } })),
  ["t"],
);
/** Comes back after 10 ms. */
export const quick = { initial_ms: 10, max_ms: 10, jitter: 0, max_attempts: 5, min_uptime_ms: 0 };
const plain: EndpointSpec<Named, Named> = {
  baseUrl: "wss://example.test",
  path: "/ws/{room}",
  query: ["page", "loud"],
  client: table,
  server: table,
  lifecycle: {},
  policy: { reconnect: quick },
};

/** An endpoint whose messages all have their name as the tag `t`; every link is accepted. */
export function endpointBench(spec: Partial<EndpointSpec<Named, Named>>, options: EndpointOptions<Named, Named> = {}, params: Record<string, ParamValue> = { room: "a b/c" }) {
  const clock = new ManualClock();
  const peers: MemoryPeer[] = [];
  const heard: Record<string, unknown>[][] = [];
  const transport = memoryTransport((peer) => {
    const frames: Record<string, unknown>[] = [];
    peers.push(peer);
    heard.push(frames);
    peer.onframe = (frame) => void frames.push(JSON.parse(String(frame)));
    peer.accept(peer.request.protocols[0]);
  });
  const endpoint = new Endpoint<Named, Named>({ ...plain, ...spec }, params, { clock, transport, wake: () => () => undefined, ...options });
  const tell = async (frame: unknown): Promise<void> => {
    peers.at(-1)?.send(JSON.stringify(frame));
    await settled();
  };
  const cut = async (): Promise<void> => {
    peers.at(-1)?.cut();
    await clock.advance(10);
  };
  return { endpoint, clock, peers, heard, tell, cut };
}
