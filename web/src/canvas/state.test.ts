//! When the canvas follows an answer.

import { expect, test } from 'vitest';
import type { CanvasTrigger } from '../conversation/frames';
import type { Run } from '../conversation/model';
import { afterRun, closedCanvas } from './state';

const run = (trigger: Partial<CanvasTrigger>, diagram?: string): Run => ({
  runId: 'r1', question: 'q', status: 'finished', text: 'a', reasoning: '', tools: [], steps: [], approvals: [], sources: [], live: true,
  trigger: { action: 'switch_view', reason: '', ...trigger },
  ...(diagram === undefined ? {} : { diagram }),
});
const er = (confidence: number) => run({ view_type: 'er_diagram', confidence }, 'erDiagram');

test('a sure answer opens its diagram', () => {
  expect(afterRun(closedCanvas, er(0.6))).toEqual({ open: true, tab: 'diagram', pinned: false, runId: 'r1' });
});

test('an unsure one does not', () => {
  expect(afterRun(closedCanvas, er(0.59))).toBe(closedCanvas);
  expect(afterRun(closedCanvas, run({ view_type: 'er_diagram' }, 'erDiagram'))).toBe(closedCanvas);
});

test('nothing happens against a pin', () => {
  const pinned = { ...closedCanvas, open: true, pinned: true, tab: 'tables' as const };
  expect(afterRun(pinned, er(0.9))).toBe(pinned);
});

test('a diagram view without a diagram is not opened, the table list is', () => {
  expect(afterRun(closedCanvas, run({ view_type: 'er_diagram', confidence: 0.9 })).open).toBe(false);
  expect(afterRun(closedCanvas, run({ view_type: 'table_list', confidence: 0.75 }))).toMatchObject({ open: true, tab: 'tables' });
  expect(afterRun(closedCanvas, run({ action: 'none', view_type: 'table_list', confidence: 0.75 }))).toBe(closedCanvas);
});

test('an open canvas turns to the sources of an answer, a closed or pinned one does not', () => {
  const sourced = { ...run({ action: 'none' }), sources: [{ id: 's', title: 't', source: 'u', score: 1 }] };
  const open = { ...closedCanvas, open: true, tab: 'tables' as const };
  expect(afterRun(open, sourced)).toEqual({ ...open, tab: 'sources', source: { runId: 'r1' } });
  expect(afterRun(closedCanvas, sourced)).toBe(closedCanvas);
  expect(afterRun({ ...open, pinned: true }, sourced).tab).toBe('tables');
});
