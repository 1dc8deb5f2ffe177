//! Steps in words, and how long they took.

import { expect, test } from 'vitest';
import type { Run } from '../conversation/model';
import { countSources, stepLines, stepTitle, wholeTime } from './steps';

const begun = Date.parse('2026-01-01T10:00:00Z');
const steps = [
  { name: 'retrieve', beganAt: begun },
  { name: 'rerank', beganAt: begun + 40 },
  { name: 'generate_answer', beganAt: begun + 45 },
];
const run = (more: Partial<Run>): Run => ({
  runId: 'r', question: 'q', status: 'running', text: '', reasoning: '', tools: [], steps, approvals: [], sources: [], live: true, ...more,
});
const shown = (of: Run) => stepLines(of).map(({ title, took, running }) => `${title}${running ? '…' : ''} ${took ?? ''}`.trim());

test('known steps have words, unknown ones their name', () => {
  expect([stepTitle('retrieve', 'running'), stepTitle('retrieve', 'done'), stepTitle('ask_the_oracle', 'done')]).toEqual([
    'Searching the documents', 'Searched the documents', 'Ask the oracle',
  ]);
});

test('each ends where the next begins, the last with the answer', () => {
  expect(shown(run({}))).toEqual(['Searched the documents 40 ms', 'Weighed what was found 5 ms', 'Writing the answer…']);
  const finished = run({ status: 'finished', answeredAt: '2026-01-01T10:00:01.245Z' });
  expect(shown(finished).at(-1)).toBe('Wrote the answer 1.2 s');
  expect([wholeTime(finished), wholeTime(run({}))]).toEqual(['1.2 s', undefined]);
});

test('a clock that ran backwards gives no time', () => {
  const odd = run({ status: 'finished', steps: [{ name: 'a', beganAt: begun }, { name: 'b', beganAt: begun - 5 }] });
  expect(shown(odd)).toEqual(['A', 'B']);
});

test('sources are counted', () => {
  expect([countSources(1), countSources(4)]).toEqual(['1 source', '4 sources']);
});
