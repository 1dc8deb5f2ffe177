//! How a table stands with the server, in words.

import type { LinkStatus } from '@tidewire/client/live-data';
import { inSeconds, type Words } from '../connection/words';

/** How a table is, beside the connection. */
export interface Standing {
  /** Whether changes arrive. */
  readonly live: boolean;
  /** Why rows or changes do not come, for people. */
  readonly blocked: string | undefined;
  /** Whether there are rows, under which that would not be seen. */
  readonly isRead: boolean;
}

/** Says whether what is shown is what is. */
export function describeLive(status: LinkStatus, standing: Standing, now: number): Words {
  switch (status.state) {
    case 'idle':
    case 'connecting':
      return { tone: 'busy', short: 'Connecting' };
    case 'online':
      return online(standing);
    case 'waiting':
    case 'failed':
      return { tone: 'busy', short: 'Reconnecting', sentence: `The connection was lost; what you see may be old. ${nextTry(status, now)}`, action: 'retry' };
    case 'refused':
      return { tone: 'bad', short: 'Refused', sentence: status.error?.message ?? `The server ended the connection (${status.code}${status.reason ? `, ${status.reason}` : ''})`, action: 'retry' };
    case 'closed':
      return { tone: 'bad', short: 'Closed' };
  }
}

function online({ live, blocked, isRead }: Standing): Words {
  if (blocked !== undefined) return { tone: 'bad', short: 'Not live', ...(isRead ? { sentence: blocked, action: 'retry' } : {}) };
  return live ? { tone: 'good', short: 'Live' } : { tone: 'busy', short: 'Catching up' };
}

function nextTry(status: LinkStatus, now: number): string {
  return status.state === 'waiting' ? `Next try ${inSeconds(status.retryAt - now)}` : 'Try again when the network is back';
}
