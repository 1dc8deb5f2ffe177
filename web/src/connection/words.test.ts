//! What a person reads in each state.

import { expect, test } from 'vitest';
import type { ConnectionStatus } from './port';
import { describe as inWords, type Situation } from './words';

const calm: Situation = { offline: false, draining: false, unsent: 0, now: 1_000 };
const check = (status: ConnectionStatus, situation: Partial<Situation>, expected: object) =>
  expect(inWords(status, { ...calm, ...situation })).toMatchObject(expected);

test('online needs no sentence', () => {
  expect(inWords({ state: 'online' }, calm)).toEqual({ tone: 'good', short: 'Online' });
});

test('a restart is announced', () => {
  check({ state: 'online' }, { draining: true }, { tone: 'busy', short: 'Restarting' });
  check({ state: 'waiting', attempt: 1, retryAt: 3_000, code: 1012, reason: '' }, {}, {
    sentence: 'The server is restarting; nothing is lost. Next try in 2 s (1 of 5)',
  });
});

test('a lost connection counts down and can be tried now', () => {
  check({ state: 'waiting', attempt: 2, retryAt: 5_000, code: 1006, reason: '' }, {}, {
    sentence: 'Connection lost. Attempting to reconnect… Next try in 4 s (2 of 5)', action: 'retry',
  });
});

test('offline says what becomes of messages', () => {
  check({ state: 'waiting', attempt: 2, retryAt: 5_000, code: 1006, reason: '' }, { offline: true, unsent: 2 }, {
    sentence: 'You are offline. Your 2 messages are kept here',
  });
});

test('giving up offers a way back', () => {
  check({ state: 'failed', attempts: 6, code: 1006, reason: '' }, { unsent: 1 }, {
    sentence: 'Connection failed after 5 retries. Your message is kept here', action: 'retry',
  });
});

test('refusals say what to do', () => {
  check({ state: 'refused', code: 4001, reason: '' }, {}, {
    sentence: 'Invalid session. Please start a new chat.', action: 'new_chat',
  });
  check({ state: 'refused', code: 4003, reason: '' }, {}, { short: 'Not allowed' });
  check({ state: 'refused', code: 1011, reason: 'internal' }, {}, { action: 'retry' });
});
