//! How often the client may send: when the next message is allowed under all limits.

import type { Rate } from "./policy.js";

/** What was sent lately, on one link. */
export class Rates {
  readonly #limits: readonly Rate[];
  /** When the last messages were sent, as many as the largest limit counts. */
  readonly #sent: number[] = [];
  readonly #most: number;

  constructor(limits: readonly Rate[]) {
    this.#limits = limits;
    this.#most = Math.max(0, ...limits.map(({ messages }) => Math.max(1, messages)));
  }

  /** Notes that a message was sent at `now`. */
  spend(now: number): void {
    this.#sent.push(now);
    if (this.#sent.length > this.#most) this.#sent.shift();
  }

  /** How long the next message has to wait, in milliseconds; 0 if it may go. */
  wait(now: number): number {
    return Math.max(0, ...this.#limits.map((limit) => this.#freeAt(limit) - now));
  }

  #freeAt({ messages, per_ms }: Rate): number {
    // A limit of none would never allow anything; it is taken for one.
    const first = this.#sent[this.#sent.length - Math.max(1, messages)];
    return first === undefined ? 0 : first + per_ms;
  }
}
