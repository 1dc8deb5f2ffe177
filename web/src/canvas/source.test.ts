//! Text before Mermaid.

import { expect, test } from 'vitest';
import { sideways, withoutDirectives } from './source';

test.each([
  ['%%{init: {"htmlLabels": true}}%%\nerDiagram', '%% init: {"htmlLabels": true}}%%\nerDiagram'],
  ['erDiagram\n  %%  {wrap}%%', 'erDiagram\n  %% wrap}%%'],
  ['---\nconfig:\n  htmlLabels: true\n---\nerDiagram', 'erDiagram'],
  [' \n---\ntitle: x\n---\nerDiagram', 'erDiagram'],
  ['erDiagram\n  a ||--o{ b : x', 'erDiagram\n  a ||--o{ b : x'],
])('%j becomes %j', (source, text) => {
  expect(withoutDirectives(source)).toBe(text);
});

test('a diagram lies on its side unless it says otherwise', () => {
  expect(sideways('erDiagram\n  a')).toBe('erDiagram\n    direction LR\n  a');
  expect(sideways('erDiagram\n  direction TB\n  a')).toBe('erDiagram\n  direction TB\n  a');
  expect(sideways('erDiagram\n  direction {\n  }')).toBe('erDiagram\n    direction LR\n  direction {\n  }');
  expect(sideways('graph TD')).toBe('graph TD');
});
