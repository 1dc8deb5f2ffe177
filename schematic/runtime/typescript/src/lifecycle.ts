//! In which order the client may speak: one opening message, then any number, then one goodbye.
//!
//! This is the automaton of the logical session, checked when a message is given to be sent. It is not that of the
//! connection: a reconnect that restores the session leaves it as it is.

import { SchematicError } from "./errors.js";

/** The messages of a session by their place, by name. */
export interface LifecycleSpec {
  /** Sent first, once. */
  readonly initialize?: string;
  /** Sent last, once. */
  readonly close?: string;
  /** Of the others, those that may be sent only once. */
  readonly once?: readonly string[];
}

/** Where a session is. */
export type SessionPhase = "new" | "open" | "closed";

/** Follows what is said in a session. */
export class Lifecycle {
  readonly #spec: LifecycleSpec;
  readonly #said = new Set<string>();
  #phase: SessionPhase;

  constructor(spec: LifecycleSpec) {
    this.#spec = spec;
    this.#phase = this.#first();
  }

  #first(): SessionPhase {
    return this.#spec.initialize === undefined ? "open" : "new";
  }

  /** Where the session is. */
  get phase(): SessionPhase {
    return this.#phase;
  }

  /** An error of kind `lifecycle` if the message may not be sent now. */
  check(name: string): void {
    const { initialize, close, once } = this.#spec;
    if (this.#phase === "closed") this.#refuse(name, `${close} has ended the session; begin a new one`);
    if (this.#phase === "new" && name !== initialize) this.#refuse(name, `send ${initialize} first`);
    if (this.#phase === "open" && name === initialize) this.#refuse(name, "the session is open already");
    if (once?.includes(name) && this.#said.has(name)) this.#refuse(name, "it may be sent only once");
  }

  /** Notes that a message is sent. */
  said(name: string): void {
    this.#said.add(name);
    if (name === this.#spec.close) this.#phase = "closed";
    else if (name === this.#spec.initialize) this.#phase = "open";
  }

  #refuse(name: string, why: string): never {
    throw new SchematicError("lifecycle", `${name} cannot be sent: ${why}`);
  }

  /** The session is lost, a new one begins. */
  restart(): void {
    this.#phase = this.#first();
    this.#said.clear();
  }
}
