//! How a connection is kept, as plain values: backoff, close codes, bounds, time limits.
//!
//! Definitions declare these per endpoint; what they leave open is filled in from {@link defaultPolicy}. Acting
//! upon them is the business of the connection.

/** What is done about a close code: give up, come back anew, or come back and go on. */
export type CloseAction = "fatal" | "retry" | "resume";

/** How a lost connection is restored. */
export interface ReconnectPolicy {
  /** Delay before the first retry, in milliseconds. */
  readonly initial_ms: number;
  /** What each further retry multiplies it by; without it, 2. */
  readonly factor?: number;
  /** Longest delay, in milliseconds. */
  readonly max_ms: number;
  /** Which part of a delay is left to chance, 0 to 1, so that clients do not come back all at once. */
  readonly jitter: number;
  /** Retries in a row without success before it fails. */
  readonly max_attempts: number;
  /** Time after which a connection counts as good and the retries are counted anew, in milliseconds. */
  readonly min_uptime_ms: number;
}

/** What happens when the consumer of an async iterator does not keep up; `fail` ends the connection. */
export type InboundFull = "block" | "drop_oldest" | "coalesce" | "fail";

/** When a message counts as sent. Until then it is handed back when its link is lost. */
export type Confirm =
  /** When the platform has taken it. */
  | "written"
  /** When the other side has answered a ping frame that was sent after it; as `written` where the platform cannot send any. */
  | "pong"
  /** When a message says so, by the option `confirms`. */
  | "answer";

/** A rate limit of the client. */
export interface Rate {
  /** This many messages. */
  readonly messages: number;
  /** In this time, in milliseconds. */
  readonly per_ms: number;
}

/** How a connection is kept. */
export interface ConnectionPolicy {
  /** Whether and how a lost connection is restored. */
  readonly reconnect: ReconnectPolicy | "never";
  /** What the close codes mean. Others: 1000 ends the session, the rest is as `otherwise` says. */
  readonly close_codes: Readonly<Record<number, CloseAction>>;
  /** What is done about a code that is not listed. */
  readonly otherwise: CloseAction;
  /** Time for obtaining the address and for the upgrade together, in milliseconds. */
  readonly connect_ms: number;
  /** Time for the goodbye, in milliseconds. */
  readonly close_ms: number;
  /** Time until the first reply to a request, in milliseconds. */
  readonly reply_ms: number;
  /** Time between two signs of life, in milliseconds; 0 if there are none. */
  readonly heartbeat_ms: number;
  /** Time that the answer to a sign of life may take, in milliseconds; 0 if any frame will do. */
  readonly heartbeat_reply_ms: number;
  /** Whether the first sign of life comes after a random part of the interval. */
  readonly jitter_first: boolean;
  /** Time between two ping frames, in milliseconds; 0 if there are none. Browsers cannot send them. */
  readonly ping_ms: number;
  /** Time that a pong frame may take, in milliseconds; 0 if it does not matter. */
  readonly ping_reply_ms: number;
  /** Longest life of a link, in milliseconds, 0 if there is no end; a session that can be restored goes on with a new one. */
  readonly max_age_ms: number;
  /** Time without a frame after which a link is given up, in milliseconds; 0 stands for two heartbeats. */
  readonly idle_ms: number;
  /** Largest message that is sent, in bytes. */
  readonly message_bytes: number;
  /** How often the client may send; all of them hold, for each link. */
  readonly rates: readonly Rate[];
  /** When a message counts as sent. */
  readonly confirm: Confirm;
  /** Most messages that wait to be sent. */
  readonly outbound_messages: number;
  /** Most bytes that wait to be sent. */
  readonly outbound_bytes: number;
  /** Bytes in the platform's own buffer above which messages wait in the queue, where they can be withdrawn. */
  readonly platform_bytes: number;
  /** Largest frame that is accepted, in bytes. */
  readonly frame_bytes: number;
  /** Most messages that wait in an async iterator. */
  readonly inbound_messages: number;
  /** What happens when there are more. */
  readonly inbound_full: InboundFull;
}

/** What holds unless an endpoint says otherwise. */
export const defaultPolicy: ConnectionPolicy = {
  reconnect: { initial_ms: 1_000, max_ms: 30_000, jitter: 0.5, max_attempts: 5, min_uptime_ms: 5_000 },
  close_codes: { 1002: "fatal", 1003: "fatal", 1007: "fatal", 1008: "fatal", 1009: "fatal", 1010: "fatal" },
  otherwise: "retry",
  connect_ms: 10_000,
  close_ms: 3_000,
  reply_ms: 30_000,
  heartbeat_ms: 0,
  heartbeat_reply_ms: 0,
  jitter_first: false,
  ping_ms: 0,
  ping_reply_ms: 0,
  max_age_ms: 0,
  idle_ms: 0,
  message_bytes: 1 << 20,
  rates: [],
  confirm: "written",
  outbound_messages: 256,
  outbound_bytes: 1 << 20,
  platform_bytes: 1 << 18,
  frame_bytes: 16 << 20,
  inbound_messages: 1_024,
  inbound_full: "block",
};

/** What is done when a connection ended with this code. */
export function closeAction(policy: ConnectionPolicy, code: number): CloseAction {
  return policy.close_codes[code] ?? (code === 1000 ? "fatal" : policy.otherwise);
}

/** The delay before retry number `attempt` (from 1), in milliseconds. `chance` is from 0 up to 1. */
export function backoff(policy: ReconnectPolicy, attempt: number, chance: number): number {
  const full = Math.min(policy.max_ms, policy.initial_ms * (policy.factor ?? 2) ** (attempt - 1));
  return Math.round(full * (1 - policy.jitter * chance));
}
