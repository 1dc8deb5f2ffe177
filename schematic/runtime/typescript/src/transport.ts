//! What carries frames: the small interface that the connection needs, and the platform's `WebSocket` behind it.
//!
//! A transport opens a link, moves frames and says how it ended. It does not reconnect, queue, decode or judge.

/** What is sent and received: text, or bytes. */
export type Frame = string | Uint8Array;

/** Where to connect to. */
export interface LinkRequest {
  /** Address with scheme `ws` or `wss`. */
  readonly url: string;
  /** Subprotocols to offer, best first. */
  readonly protocols: readonly string[];
  /** Headers of the upgrade request; browsers cannot send any. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What a link says. None is called while `connect` runs, and none after `closed`. */
export interface LinkEvents {
  /** The upgrade was accepted, with this subprotocol ("" for none). */
  open(protocol: string): void;
  /** A frame came in. */
  frame(frame: Frame): void;
  /** A ping came in and was answered; only where the platform tells. */
  ping?(): void;
  /** The answer to {@link Link.ping}, with what was given to it. */
  pong?(payload: string): void;
  /** The link is gone. 1006 stands for a link that ended, or never opened, without a word; `broken` says that the other side sent frames that are none. */
  closed(code: number, reason: string, broken?: boolean): void;
}

/** A link that is being opened or open. */
export interface Link {
  /** Hands a frame to the platform. Only after `open`. */
  send(frame: Frame): void;
  /** Says goodbye; `closed` follows when the other side has answered. */
  close(code: number, reason: string): void;
  /** Lets go at once. No event follows. */
  drop(): void;
  /** Bytes that the platform has taken and not yet sent. */
  buffered(): number;
  /** Sends a ping frame; absent where the platform cannot, as in browsers. */
  ping?(payload: string): void;
  /** Stops reading, so that the server has to wait; absent where the platform cannot. */
  pause?(): void;
  /** Reads again. */
  resume?(): void;
}

/** Opens links. */
export interface Transport {
  /** Whether it can send the headers of a request; browsers cannot. */
  readonly sendsHeaders?: boolean;
  /** Begins to open a link. Throws when the request itself is impossible. */
  connect(request: LinkRequest, events: LinkEvents): Link;
}

/** The part of `WebSocket` that is used; the platform's and that of the package `ws` both have it. */
export interface WebSocketLike {
  binaryType: string;
  readonly protocol: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: never): void;
  close(code?: number, reason?: string): void;
  terminate?(): void;
  pause?(): void;
  resume?(): void;
  ping?(payload: string): void;
  on?(event: "ping" | "pong", listener: (payload: unknown) => void): unknown;
}

/** Makes a socket. The third argument is understood by the package `ws` alone. */
export type WebSocketConstructor = new (url: string, protocols: string[], options?: never) => WebSocketLike;

/** How {@link webSocketTransport} makes its sockets. */
export interface WebSocketTransportOptions {
  /** The class of the sockets; without it, the platform's `WebSocket`. */
  readonly socket?: WebSocketConstructor | undefined;
  /** Whether the class takes the options of the package `ws`; needed to send headers. */
  readonly takesOptions?: boolean | undefined;
}

/** A transport over `WebSocket`. */
export function webSocketTransport(options: WebSocketTransportOptions = {}): Transport {
  const sendsHeaders = options.takesOptions ?? false;
  return { sendsHeaders, connect: (request, events) => new SocketLink(open(request, options), events) };
}

function open(request: LinkRequest, { socket, takesOptions }: WebSocketTransportOptions): WebSocketLike {
  const Socket = socket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (!Socket) throw new Error("This platform has no WebSocket: pass the class of the package `ws`");
  if (takesOptions) {
    // Redirects stay off: they would carry the credentials to another host.
    return new Socket(request.url, [...request.protocols], { headers: request.headers, followRedirects: false } as never);
  }
  if (Object.keys(request.headers).length > 0) {
    throw new Error("This WebSocket cannot send headers: authenticate by ticket, query or subprotocol");
  }
  return new Socket(request.url, [...request.protocols]);
}

const nothing = (): void => undefined;

class SocketLink implements Link {
  readonly #socket: WebSocketLike;
  readonly pause?: () => void;
  readonly resume?: () => void;
  readonly ping?: (payload: string) => void;
  #dropped = false;

  constructor(socket: WebSocketLike, events: LinkEvents) {
    this.#socket = socket;
    let failure = "";
    let broken = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => events.open(socket.protocol);
    socket.onmessage = (event: { data: unknown }) => events.frame(asFrame(event.data));
    socket.onerror = (event: { message?: string; error?: { code?: string } }) => {
      failure = event.message ?? "";
      broken = event.error?.code?.startsWith("WS_ERR_") ?? false;
    };
    socket.onclose = (event: { code: number; reason: string }) => {
      this.drop();
      events.closed(event.code, event.reason || failure, broken);
    };
    if (socket.pause && socket.resume) {
      this.pause = () => socket.pause?.();
      this.resume = () => socket.resume?.();
    }
    if (socket.ping && socket.on) {
      this.ping = (payload) => socket.ping?.(payload);
      socket.on("ping", () => this.#dropped || events.ping?.());
      socket.on("pong", (payload) => this.#dropped || events.pong?.(String(payload)));
    }
  }

  send(frame: Frame): void {
    this.#socket.send(frame as never);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  drop(): void {
    const socket = this.#socket;
    this.#dropped = true;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // The handler stays: `ws` throws errors that nobody listens for.
    socket.onerror = nothing;
    if (socket.terminate) socket.terminate();
    else socket.close();
  }

  buffered(): number {
    return this.#socket.bufferedAmount;
  }
}

function asFrame(data: unknown): Frame {
  if (typeof data === "string") return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return data as Uint8Array;
}
