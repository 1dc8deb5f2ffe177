//! One regular sign of life: when it is due, and when its answer is overdue. What it looks like is up to its owner.

import type { Clock, Timer } from "./clock.js";

/** What a pulse does. */
export interface PulseHooks {
  /** Sends a beat. */
  readonly beat: () => void;
  /** The answer did not come in time. */
  readonly dead: () => void;
  /** Whether nothing is read at the moment, so that no answer could come. */
  readonly deaf: () => boolean;
}

/** Beats, and listens for the answers. */
export class Pulse {
  readonly #clock: Clock;
  readonly #hooks: PulseHooks;
  #interval_ms = 0;
  #reply_ms = 0;
  #next: Timer;
  #overdue: Timer;

  constructor(clock: Clock, hooks: PulseHooks) {
    this.#clock = clock;
    this.#hooks = hooks;
  }

  /** Beats from now on; the first time after `part` of the interval. An interval of 0 ends it, a limit of 0 waits for no answer. */
  start(interval_ms: number, reply_ms: number, part = 1): void {
    this.#clock.cancel(this.#next);
    this.#interval_ms = interval_ms;
    this.#reply_ms = reply_ms;
    if (interval_ms > 0) this.#next = this.#clock.after(interval_ms * part, () => this.#beat());
  }

  #beat(): void {
    this.#next = this.#clock.after(this.#interval_ms, () => this.#beat());
    if (this.#reply_ms > 0) this.#overdue ??= this.#clock.after(this.#reply_ms, () => this.#late());
    this.#hooks.beat();
  }

  #late(): void {
    // An answer that could not be read gets more time.
    this.#overdue = this.#hooks.deaf() ? this.#clock.after(this.#reply_ms, () => this.#late()) : undefined;
    if (this.#overdue === undefined) this.#hooks.dead();
  }

  /** The answer is there. */
  answered(): void {
    this.#clock.cancel(this.#overdue);
    this.#overdue = undefined;
  }

  /** Beats no more. */
  stop(): void {
    this.#clock.cancel(this.#next);
    this.answered();
  }
}
