//! Grouping by day, and the chat that the server does not know yet.

import { expect, test } from 'vitest';
import { branchEnding, branchTitle } from './branches';
import { groupChats, unsentChat, withCurrent, withUnsent } from './groups';
import { addressOf, sessionOf } from './session';

const chat = (session_id: string, updated: Date, title = session_id) => ({
  session_id, chat_id: session_id, title, updated_at: updated.toISOString(), running: false,
});
const now = new Date(2026, 4, 10, 0, 30);

test('days are those of the person, not 24 hours', () => {
  const groups = groupChats(
    [chat('old', new Date(2026, 4, 2, 23)), chat('week', new Date(2026, 4, 8, 23)), chat('late', new Date(2026, 4, 9, 23, 59)), chat('new', new Date(2026, 4, 10, 0, 1))],
    now,
  );
  expect(groups.map((group) => `${group.name}: ${group.chats.map((each) => each.title).join()}`)).toEqual([
    'Today: new', 'Yesterday: late', 'Last 7 days: week', 'Earlier: old',
  ]);
});

test('the open chat is listed before the server knows it, and once afterwards', () => {
  const current = chat('mine', now, 'New chat');
  expect(withCurrent([chat('a', now), chat('empty', now, '')], current).map((each) => each.title)).toEqual(['New chat', 'a']);
  expect(withCurrent([chat('a', now), chat('mine', now, 'Orders')], current).map((each) => each.title)).toEqual(['Orders', 'a']);
});

test('a chat whose first question has not left is listed until the server knows it', () => {
  const unsent = [unsentChat('mine', ' Which orders\nare late?')];
  expect(withUnsent([chat('a', now)], unsent).map((each) => each.title)).toEqual(['Which orders', 'a']);
  expect(withUnsent([chat('mine', now, 'Orders')], unsent).map((each) => each.title)).toEqual(['Orders']);
});

test('an address names its session', () => {
  expect(sessionOf(addressOf('a.b-c_1'))).toBe('a.b-c_1');
  expect(sessionOf('')).toBeUndefined();
  expect(sessionOf('#/elsewhere')).toBeUndefined();
});

test('a branch says so in its title, once', () => {
  const titles = ['Orders', 'Orders (branch)', 'Orders (branch 2)', 'A (branch) of orders', ''];
  expect(titles.map(branchTitle)).toEqual(['Orders (branch)', 'Orders (branch 2)', 'Orders (branch 3)', 'A (branch) of orders (branch)', 'New chat (branch)']);
  expect(titles.map(branchEnding)).toEqual(['', '(branch)', '(branch 2)', '', '']);
});
