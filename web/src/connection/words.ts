//! The connection in words: one dot, one sentence, at most one thing to do.

import type { ConnectionStatus } from './port';

/** What is shown. `sentence` is undefined while there is nothing to say. */
export interface Words {
  readonly tone: 'good' | 'busy' | 'bad';
  /** For the dot: two words at most. */
  readonly short: string;
  readonly sentence?: string;
  readonly action?: 'retry' | 'new_chat';
}

/** What else is known of the surroundings. */
export interface Situation {
  /** The browser says that there is no network. */
  readonly offline: boolean;
  /** The server said that it is about to restart. */
  readonly draining: boolean;
  /** Messages that wait for a connection. */
  readonly unsent: number;
  readonly now: number;
}

/** Retries before giving up: the client's own number, said aloud. */
export const ATTEMPTS = 5;

/** Says how things stand. */
export function describe(status: ConnectionStatus, situation: Situation): Words {
  switch (status.state) {
    case 'idle':
    case 'connecting':
      return { tone: 'busy', short: 'Connecting' };
    case 'online':
      return situation.draining
        ? { tone: 'busy', short: 'Restarting', sentence: 'The server is about to restart. Answers that are being written will finish or continue afterwards' }
        : { tone: 'good', short: 'Online' };
    case 'waiting':
      return waiting(status, situation);
    case 'failed':
      return {
        tone: 'bad',
        short: 'No connection',
        sentence: `Connection failed after ${ATTEMPTS} retries. ${kept(situation)}`,
        action: 'retry',
      };
    case 'refused':
      return refused(status.code, status.reason);
    case 'closed':
      return { tone: 'bad', short: 'Closed' };
  }
}

function waiting(status: Extract<ConnectionStatus, { state: 'waiting' }>, situation: Situation): Words {
  if (situation.offline) {
    return { tone: 'bad', short: 'Offline', sentence: `You are offline. ${kept(situation)}`, action: 'retry' };
  }
  const when = `Next try ${inSeconds(status.retryAt - situation.now)} (${status.attempt} of ${ATTEMPTS})`;
  return { tone: 'busy', short: 'Reconnecting', sentence: `${cause(status.code)} ${when}`, action: 'retry' };
}

function cause(code: number | undefined): string {
  if (code === 1012) return 'The server is restarting; nothing is lost.';
  if (code === 1013) return 'The server is full.';
  return 'Connection lost. Attempting to reconnect…';
}

function refused(code: number, reason: string): Words {
  if (code === 4001) {
    return { tone: 'bad', short: 'Invalid session', sentence: 'Invalid session. Please start a new chat.', action: 'new_chat' };
  }
  if (code === 4003) {
    return {
      tone: 'bad',
      short: 'Not allowed',
      sentence: `This server does not accept pages from ${globalThis.location?.origin ?? 'this address'}. Open it from its own address, or add this one to its allowed origins`,
    };
  }
  return { tone: 'bad', short: 'Refused', sentence: `The server ended the connection (${code}${reason ? `, ${reason}` : ''})`, action: 'retry' };
}

function kept(situation: Situation): string {
  if (situation.unsent === 0) return 'You can go on writing; messages leave when the connection is back';
  return situation.unsent === 1 ? 'Your message is kept here' : `Your ${situation.unsent} messages are kept here`;
}

/** A wait in words: "now", "in 4 s", "in 2 min". */
export function inSeconds(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 0) return 'now';
  return seconds < 90 ? `in ${seconds} s` : `in ${Math.round(seconds / 60)} min`;
}
