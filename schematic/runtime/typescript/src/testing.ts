//! Time and networks for tests: both move only when they are told to.
//!
//! The memory network loses what is under way when it is cut, as real ones do.

import type { Clock, Timer } from "./clock.js";
import type { Frame, Link, LinkEvents, LinkRequest, Transport } from "./transport.js";

interface Alarm {
  readonly at: number;
  readonly action: () => void;
}

/** A clock that stands still until {@link ManualClock.advance} moves it. */
export class ManualClock implements Clock {
  #now = 0;
  readonly #alarms = new Set<Alarm>();
  /** What {@link Clock.random} gives. */
  chance = 0;

  now(): number {
    return this.#now;
  }

  after(delay_ms: number, action: () => void): Timer {
    const alarm = { at: this.#now + delay_ms, action };
    this.#alarms.add(alarm);
    return alarm;
  }

  cancel(timer: Timer): void {
    this.#alarms.delete(timer as Alarm);
  }

  random(): number {
    return this.chance;
  }

  /** How many timers run. */
  get timers(): number {
    return this.#alarms.size;
  }

  /** Lets time pass, running timers in order and letting promises settle between them. */
  async advance(duration_ms: number): Promise<void> {
    const end = this.#now + duration_ms;
    await settled();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#alarms.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.action();
      await settled();
    }
    this.#now = end;
  }

  #next(end: number): Alarm | undefined {
    const due = [...this.#alarms].filter((alarm) => alarm.at <= end);
    return due.sort((a, b) => a.at - b.at)[0];
  }
}

/** Settles when everything that is already promised has happened. */
export function settled(): Promise<void> {
  // What the platform runs later runs after all microtasks, also after those that microtasks start.
  const { setImmediate: soon = setTimeout } = globalThis as { setImmediate?: (action: () => void) => unknown };
  return new Promise((resolve) => void soon(resolve));
}

/** The server's end of a link in memory. */
export interface MemoryPeer {
  readonly request: LinkRequest;
  /** Accepts the upgrade. */
  accept(protocol?: string): void;
  /** Sends a frame to the client. */
  send(frame: Frame): void;
  /** Ends the link with a word. What was sent before still arrives. */
  close(code: number, reason?: string): void;
  /** Ends the link without a word, also in place of accepting it. What is under way is lost, both ways. */
  cut(): void;
  /** Stops carrying frames, without an end: a half-open link. */
  freeze(): void;
  /** Sends a ping frame to the client. */
  ping(): void;
  /** Called for each ping frame of the client; answers it unless it gives false. */
  onping: (payload: string) => boolean;
  /** Called for each frame of the client. */
  onframe: (frame: Frame) => void;
  /** Called when the client has ended the link; 1006 if without a word. */
  onclosed: (code: number, reason: string) => void;
}

/** A network in memory: every link that a client opens is given to `serve`. */
export function memoryTransport(serve: (peer: MemoryPeer) => void): Transport {
  return {
    connect(request, events) {
      const link = new MemoryLink(request, events);
      queueMicrotask(() => link.alive && serve(link.peer));
      return link;
    },
  };
}

class MemoryLink implements Link {
  readonly peer: MemoryPeer;
  alive = true;
  #frozen = false;
  #paused = false;
  #held: (() => void)[] = [];

  constructor(
    request: LinkRequest,
    private readonly events: LinkEvents,
  ) {
    this.peer = {
      request,
      accept: (protocol = "") => this.#toClient(() => events.open(protocol)),
      send: (frame) => this.#toClient(() => events.frame(frame)),
      close: (code, reason = "") => this.#toClient(() => this.#close(code, reason)),
      cut: () => this.#cut(),
      freeze: () => void (this.#frozen = true),
      ping: () => this.#toClient(() => events.ping?.()),
      onping: () => true,
      onframe: () => undefined,
      onclosed: () => undefined,
    };
  }

  #toClient(deliver: () => void): void {
    queueMicrotask(() => {
      if (!this.alive || this.#frozen) return;
      if (this.#paused) this.#held.push(deliver);
      else deliver();
    });
  }

  #close(code: number, reason: string): void {
    this.alive = false;
    this.events.closed(code, reason);
  }

  #cut(): void {
    if (!this.alive) return;
    this.alive = false;
    queueMicrotask(() => this.events.closed(1006, ""));
  }

  send(frame: Frame): void {
    queueMicrotask(() => {
      if (this.alive && !this.#frozen) this.peer.onframe(frame);
    });
  }

  ping(payload: string): void {
    queueMicrotask(() => {
      if (this.alive && !this.#frozen && this.peer.onping(payload)) this.#toClient(() => this.events.pong?.(payload));
    });
  }

  close(code: number, reason: string): void {
    queueMicrotask(() => {
      if (!this.alive || this.#frozen) return;
      this.peer.onclosed(code, reason);
      this.#toClient(() => this.#close(code, reason));
    });
  }

  drop(): void {
    if (!this.alive) return;
    this.alive = false;
    queueMicrotask(() => this.peer.onclosed(1006, ""));
  }

  buffered(): number {
    return 0;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (const deliver of this.#held.splice(0)) this.#toClient(deliver);
  }
}
