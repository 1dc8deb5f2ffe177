//! A conversation as Markdown.

import { expect, test } from 'vitest';
import { emptyConversation, type Run } from './model';
import { fileName, toMarkdown } from './transcript';

const run = (more: Partial<Run>): Run => ({
  runId: 'r', question: 'Two\nlines?', status: 'finished', text: 'Yes.\n', reasoning: '', tools: [], live: false, ...more,
});

test('questions, answers, diagrams and how they ended', () => {
  const conversation = { ...emptyConversation, runs: [run({ diagram: 'erDiagram\n' }), run({ status: 'stopped', text: 'Hal' })] };
  expect(toMarkdown(conversation)).toBe('## Two lines?\n\nYes.\n\n```mermaid\nerDiagram\n```\n\n## Two lines?\n\nHal\n\n*(stopped)*');
});

test('titles become file names', () => {
  expect(fileName('How are “orders” related?', 'svg')).toBe('how-are-orders-related.svg');
  expect(fileName('???', 'md')).toBe('tidewire.md');
});
