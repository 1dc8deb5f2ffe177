//! What a person reads about a table's connection.

import type { LinkStatus } from '@tidewire/client/live-data';
import { expect, test } from 'vitest';
import { describeLive, type Standing } from './words';

const calm: Standing = { live: true, blocked: undefined, isRead: true };
const check = (status: LinkStatus, standing: Partial<Standing>, expected: object) =>
  expect(describeLive(status, { ...calm, ...standing }, 1_000)).toEqual(expected);

test('live needs no sentence', () => {
  check({ state: 'online' }, {}, { tone: 'good', short: 'Live' });
  check({ state: 'online' }, { live: false }, { tone: 'busy', short: 'Catching up' });
  check({ state: 'connecting', attempt: 1 }, { live: false }, { tone: 'busy', short: 'Connecting' });
});

test('what is blocked is said once: above the rows, or in their place', () => {
  check({ state: 'online' }, { blocked: 'Too many watches', live: false }, { tone: 'bad', short: 'Not live', sentence: 'Too many watches', action: 'retry' });
  check({ state: 'online' }, { blocked: 'No access', live: false, isRead: false }, { tone: 'bad', short: 'Not live' });
});

test('a lost connection counts down and warns of what is shown', () => {
  check({ state: 'waiting', attempt: 2, retryAt: 5_000, code: 1006, reason: '' }, { live: false }, {
    tone: 'busy', short: 'Reconnecting', sentence: 'The connection was lost; what you see may be old. Next try in 4 s', action: 'retry',
  });
});

test('a refusal says why', () => {
  check({ state: 'refused', code: 1008, reason: 'revoked' }, { live: false }, {
    tone: 'bad', short: 'Refused', sentence: 'The server ended the connection (1008, revoked)', action: 'retry',
  });
});
