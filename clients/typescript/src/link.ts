//! What every face of a connection shares: how things stand with it, and where it goes.

import type { ConnectionState, SchematicError, Target } from "@tidewire/schematic-runtime";

/** How things stand with the connection. */
export type LinkStatus =
  | { readonly state: "idle" }
  | { readonly state: "connecting"; readonly attempt: number }
  | { readonly state: "online" }
  /** Lost; the next attempt comes by itself at `retryAt`, in milliseconds since 1970. */
  | { readonly state: "waiting"; readonly attempt: number; readonly retryAt: number; readonly code: number; readonly reason: string }
  /** Given up for now: `retryNow` goes on, and so does a sign that the network is back. */
  | { readonly state: "failed"; readonly attempts: number; readonly code: number; readonly reason: string }
  /** The server, or the check of the address, will not have this connection; `retryNow` tries all the same. */
  | { readonly state: "refused"; readonly code: number; readonly reason: string; readonly error?: SchematicError }
  /** Closed by its owner. */
  | { readonly state: "closed" };

/** Who connects. */
export interface LinkCredentials {
  /**
   * Obtains a ticket before every attempt; `undefined` where none is needed. A `SchematicError` of kind `auth` ends
   * the attempts with status `refused`; other errors are tried again.
   */
  readonly ticket?: (() => Promise<string | undefined>) | undefined;
  /** Headers of the upgrade request; only outside of browsers. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The target of an attempt at this address, with a fresh ticket. */
export async function withTicket(address: string, { ticket, headers }: LinkCredentials): Promise<Target> {
  const url = new URL(address);
  const taken = await ticket?.();
  if (taken !== undefined) url.searchParams.set("ticket", taken);
  return { url: url.href, headers };
}

/** A connection's state as it is told to people; `undefined` on the way out, which is not worth a word. */
export function asStatus(state: ConnectionState): LinkStatus | undefined {
  switch (state.status) {
    case "idle":
      return { state: "idle" };
    case "connecting":
      return { state: "connecting", attempt: state.attempt };
    case "open":
      return { state: "online" };
    case "waiting":
      return { state: "waiting", attempt: state.attempt, retryAt: state.retry_at, code: state.cause.code, reason: state.cause.reason };
    case "failed":
      return { state: "failed", attempts: state.attempts, code: state.cause.code, reason: state.cause.reason };
    case "closing":
      return undefined;
    case "closed":
      return { state: "refused", ...state.cause };
  }
}

