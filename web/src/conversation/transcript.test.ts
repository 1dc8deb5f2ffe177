//! A conversation as Markdown.

import { expect, test } from 'vitest';
import { emptyConversation, type Run } from './model';
import { fileName, toJson, toMarkdown } from './transcript';

const run = (more: Partial<Run>): Run => ({
  runId: 'r', question: 'Two\nlines?', status: 'finished', text: 'Yes.\n', reasoning: '', tools: [], steps: [], approvals: [], sources: [], live: false, ...more,
});

test('questions, answers, diagrams and how they ended', () => {
  const conversation = { ...emptyConversation, runs: [run({ diagram: 'erDiagram\n' }), run({ status: 'stopped', text: 'Hal' })] };
  expect(toMarkdown(conversation)).toBe('## Two lines?\n\nYes.\n\n```mermaid\nerDiagram\n```\n\n## Two lines?\n\nHal\n\n*(stopped)*');
});

test('titles become file names', () => {
  expect(fileName('How are “orders” related?', 'svg')).toBe('how-are-orders-related.svg');
  expect(fileName('???', 'md')).toBe('tidewire.md');
});

test('sources are listed by the numbers of their marks, and stay text', () => {
  const sources = [
    { id: 'a', title: 'Keys', source: 'docs/keys.md', section: 'Revoking', score: 0.9 },
    { id: 'b', title: '[x](javascript:1)\n# <b>', source: 's', url: 'https://example.org/a', score: 0.1 },
  ];
  expect(toMarkdown({ ...emptyConversation, runs: [run({ text: 'Closed [1].', sources })] })).toBe(
    '## Two lines?\n\nClosed [1].\n\nSources:\n\n1. Keys · Revoking · docs/keys.md\n2. \\[x\\](javascript:1) # \\<b\\> · https://example.org/a',
  );
});

test('as JSON it keeps who decided and what the answer rests on', () => {
  const approvals = [{ callId: 'c', tool: 'git_commit', arguments: {}, state: 'approved', by: 'ann', decidedAt: '2026-01-01T10:00:00Z' }] as const;
  const json = JSON.parse(toJson({ ...emptyConversation, chatId: 'c1', runs: [run({ approvals })] }, 'T', new Date(0)));
  expect(json).toMatchObject({
    title: 'T', chat_id: 'c1', exported_at: '1970-01-01T00:00:00.000Z',
    runs: [{ question: 'Two\nlines?', answer: 'Yes.\n', status: 'finished', approvals: [{ tool: 'git_commit', state: 'approved', by: 'ann' }] }],
  });
});
