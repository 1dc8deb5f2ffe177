//! Questions to a person in words.

import { expect, test } from 'vitest';
import type { Approval, Run } from '../conversation/model';
import { argumentText, heldBack, isOver, outcomeWords, timeLeft } from './approvals';

const approval = (more: Partial<Approval>): Approval => ({ callId: 'c', tool: 'git_commit', arguments: {}, state: 'waiting', ...more });
const run = (more: Partial<Run>): Run => ({
  runId: 'r', question: 'q', status: 'running', text: '', reasoning: '', tools: [], steps: [], approvals: [], sources: [], live: true, ...more,
});

test('the time that is left', () => {
  const asked = approval({ expiresAt: 300_000 });
  expect([0, 28_000, 299_001, 300_000, 400_000].map((now) => timeLeft(asked, now))).toEqual(['5:00', '4:32', '0:01', '0:00', '0:00']);
  expect([isOver(asked, 299_999), isOver(asked, 300_000), isOver(approval({}), 1)]).toEqual([false, true, false]);
  expect(timeLeft(approval({}), 0)).toBeUndefined();
});

test('what became of it', () => {
  const words = (more: Partial<Approval>, of = run({ status: 'finished' })) => outcomeWords(approval(more), of);
  expect([
    words({ state: 'approved', by: 'ann' }),
    words({ state: 'refused', by: 'local' }),
    words({ state: 'expired' }),
    words({ state: 'expired' }, run({ status: 'stopped' })),
  ]).toEqual(['Allowed by ann', 'Refused by you', 'Not used: nobody decided in time', 'Not used: the answer was stopped first']);
});

test('a call is shown as a call once it was agreed to', () => {
  const approvals = [approval({ callId: 'a', state: 'approved' }), approval({ callId: 'b', state: 'refused' }), approval({ callId: 'c' })];
  expect([...heldBack(run({ approvals }))]).toEqual(['b', 'c']);
});

test('arguments are laid out as they are', () => {
  expect(argumentText({ message: 'Tidy', all: true })).toBe('{\n  "message": "Tidy",\n  "all": true\n}');
  expect(argumentText(undefined)).toBe('{}');
});
