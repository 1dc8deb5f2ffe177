//! Time and chance, passed in.
//!
//! The runtime never asks the platform for either, so that a test decides when a second has passed and what a
//! random number is. Nothing else is abstracted here.

/** A timer that is running; only good for {@link Clock.cancel}. */
export type Timer = unknown;

/** Where the runtime gets the time, its timers and its random numbers from. */
export interface Clock {
  /** Milliseconds since a fixed moment. */
  now(): number;
  /** Runs `action` once, `delay_ms` milliseconds from now. */
  after(delay_ms: number, action: () => void): Timer;
  /** Stops a timer. A timer that has run, or `undefined`, is ignored. */
  cancel(timer: Timer): void;
  /** A number from 0 up to, but not including, 1. */
  random(): number;
}

/** The platform's time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after: (delay_ms, action) => setTimeout(action, delay_ms),
  cancel: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout> | undefined),
  random: () => Math.random(),
};
